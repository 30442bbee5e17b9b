"""Where a secret could have gone on the deploying machine: files, git objects, arguments of processes.

Values travel to ``grep`` by standard input, and what is found is told by its place, never by its text.
"""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
from collections.abc import Iterable
from itertools import batched
from pathlib import Path

PAUSE = 0.03
LOOKS = 5
PLACES = 5000
SECONDS = 300
BLIND = 3
"""Characters that may differ at an end of a Base64 text, by what stands beside it."""


def spellings(values: Iterable[str]) -> list[str]:
    """Each value as it is, and as it reads inside a text in Base64, at each of the three offsets."""
    found = set()
    for value in values:
        found.add(value)
        for offset in range(3):
            coded = base64.b64encode(b"\0" * offset + value.encode()).decode().rstrip("=")
            found.add(coded[BLIND + 1 if offset else 0 : -BLIND])
    return sorted(found)


def in_files(values: Iterable[str], places: Iterable[Path], *, besides: Iterable[str] = ()) -> list[str]:
    """Files below these places that hold one of the values.

    Args:
        besides: names of folders that are left out.
    """
    command = ["grep", "--recursive", "--files-with-matches", "--text", "--fixed-strings", "--no-messages"]
    command += ["--null", "--devices=skip", *(f"--exclude-dir={name}" for name in besides), "--file=-", "--"]
    found = []
    # Not more than a command line holds. 2: a file went away meanwhile.
    for some in batched(places, PLACES):
        done = subprocess.run(
            [*command, *map(str, some)],
            input="\n".join(values).encode(),
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode in {0, 1, 2}, done.stderr[-500:]
        found += _names(done.stdout)
    return found


def new_files(folders: Iterable[Path], minutes: int) -> list[Path]:
    """Files below these folders, on their own file system, that were written in the last minutes."""
    newer = ["-xdev", "-type", "f", "-mmin", f"-{minutes}", "-print0"]
    # Not checked: a file that goes away meanwhile is an error to find.
    done = subprocess.run(["find", *map(str, folders), *newer], capture_output=True, check=False)
    return [Path(name) for name in _names(done.stdout)]


def _names(ended: bytes) -> list[str]:
    """Names that each end with a NUL: a name may hold any other byte."""
    return [os.fsdecode(name) for name in ended.split(b"\0") if name]


def in_git(values: Iterable[str], checkout: Path) -> int:
    """How many lines of all objects of a repository hold one of the values."""
    patterns, end = os.pipe()
    with os.fdopen(end, "w") as stream:
        stream.write("\n".join(values))
    git = ["git", "-C", str(checkout), "cat-file", "--batch-all-objects", "--batch", "--buffer"]
    grep = ["grep", "--count", "--text", "--fixed-strings", f"--file=/dev/fd/{patterns}"]
    with subprocess.Popen(git, stdout=subprocess.PIPE) as objects:
        done = subprocess.run(
            grep, stdin=objects.stdout, pass_fds=[patterns], capture_output=True, text=True, check=False
        )
    os.close(patterns)
    assert objects.returncode == 0
    assert done.returncode in {0, 1}, done.stderr
    return int(done.stdout)


class Arguments:
    """The arguments of all processes of this machine, its containers' too, sampled during a block."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Arguments:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        """Each process is read at its first looks only: its program comes soon after its birth."""
        looks: dict[str, int] = {}
        while not self._over.wait(PAUSE):
            alive = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
            looks = {process: looks.get(process, 0) + 1 for process in alive}
            for process in alive:
                if looks[process] <= LOOKS:
                    self._read(process)

    def _read(self, process: str) -> None:
        with contextlib.suppress(OSError):
            self.seen.add(Path("/proc", process, "cmdline").read_bytes())

    def with_one_of(self, values: Iterable[str]) -> list[str]:
        """The programs that had one of the values among their arguments."""
        wanted = [value.encode() for value in values]
        hit = [line for line in self.seen if any(value in line for value in wanted)]
        return sorted({line.split(b"\0")[0].decode(errors="replace") for line in hit})
