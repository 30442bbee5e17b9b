"""What the audit runs on a host: read-only, standard library only, one JSON object on standard output.

``program`` makes one file of this one and every ``agent_*.py`` beside it, which a role lays on hosts; its
questions come by standard input, as data. A section is a function of the questions that returns data. It
writes nothing, and returns no secret: the values of secret options are replaced where they are read.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SECONDS = 20
AT_ONCE = 4
LONGEST_QUESTIONS = 1 << 20
type Questions = dict[str, Any]
type Section = Callable[[Questions], Any]

SECTIONS: dict[str, tuple[Section, str | None]] = {}


class Unread(Exception):  # noqa: N818 - it is an answer, not a failure
    """A section that cannot be read here: the reason, in French."""


def section(name: str, component: str | None = None) -> Callable[[Section], Section]:
    """Make a function a section of the answer; on the hosts of one component only, when named."""

    def named(function: Section) -> Section:
        if name in SECTIONS:
            raise ValueError(f"the section {name} is defined twice")
        SECTIONS[name] = (function, component)
        return function

    return named


def output(
    *command: str, ok: tuple[int, ...] = (0,), seconds: int = SECONDS, given: str | None = None
) -> str:
    """What a command prints, with ``given`` on its standard input.

    Raises:
        Unread: the program is not there, fails, or takes too long.
    """
    said = raw_output(*command, ok=ok, seconds=seconds, given=given).decode("utf-8", "replace")
    return said.replace("\r\n", "\n").replace("\r", "\n")


def raw_output(
    *command: str, ok: tuple[int, ...] = (0,), seconds: int = SECONDS, given: str | None = None
) -> bytes:
    """The same, as it was printed: names of files are no text."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            input=(given or "").encode(),
        )
    except FileNotFoundError as error:
        raise Unread(f"{command[0]} n’est pas installé") from error
    except subprocess.TimeoutExpired as error:
        raise Unread(f"{command[0]} ne répond pas en {seconds} s") from error
    if done.returncode not in ok:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise Unread(
            f"{command[0]} finit par {done.returncode} : {said[-1][:200] if said else 'sans message'}"
        )
    return done.stdout


def text(path: str) -> str:
    """The content of a file.

    Raises:
        Unread: it cannot be read.
    """
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError as error:
        raise Unread(f"{path} : {error.strerror}") from error


def answer(questions: Questions) -> dict[str, Any]:
    """Every section that the host has and that is asked, each ``{"value": …}`` or ``{"problem": …}``."""
    chosen = {
        name: function
        for name, (function, component) in SECTIONS.items()
        if (component is None or component in questions["components"])
        and name not in questions.get("left_out", ())
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(chosen, pool.map(lambda one: _told(one, questions), chosen.values()), strict=True))


def _told(function: Section, questions: Questions) -> dict[str, Any]:
    try:
        return {"value": function(questions)}
    except Unread as error:
        return {"problem": str(error)}
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        # One section that fails must not cost the others; it is unread, with the place of the fault.
        place = traceback.extract_tb(error.__traceback__)[-1]
        return {
            "problem": f"lecture en échec : {type(error).__name__} : {error} ({place.name}:{place.lineno})"
        }


def only_read() -> None:
    """Take from this process, and from all that it starts, what writes to a file system of the host.

    All mounts are read-only in a mount namespace of its own, and nobody in it may mount (mount_setattr(2),
    capabilities(7)). What programs put aside goes to /mnt, which is in memory there and dies with it; /tmp
    stays the host's, whose room is measured. Sockets and devices stay as they are.

    Raises:
        OSError: the kernel refuses.
    """
    library = ctypes.CDLL(None, use_errno=True)
    private, recursive, read_only = 1 << 14 | 1 << 18, 0x8000, (ctypes.c_uint64 * 4)(1, 0, 0, 0)
    size, drop_capability, mounting = ctypes.sizeof(read_only), 24, 21
    steps: tuple[Callable[[], int], ...] = (
        lambda: library.mount(b"none", b"/", None, ctypes.c_ulong(private), None),
        lambda: library.syscall(442, -100, b"/", recursive, ctypes.byref(read_only), size),
        lambda: library.mount(b"tmpfs", b"/mnt", b"tmpfs", ctypes.c_ulong(2 | 4), b"size=64m,mode=1777"),
        lambda: library.prctl(drop_capability, mounting, 0, 0, 0),
    )
    os.unshare(os.CLONE_NEWNS)
    for step in steps:
        if step() != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"le programme ne peut pas s’interdire d’écrire : {os.strerror(number)}")
    os.environ["TMPDIR"] = "/mnt"


def serve(arguments: list[str]) -> None:
    """Print the answers to the questions on standard input, ``{"program": …, "questions": …}``.

    ``program`` is the SHA-256 of the program that is expected here. Where it is another one, it says which,
    and answers nothing.
    """
    if arguments:
        sys.exit("l’audit n’admet pas d’argument")
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if os.geteuid() == 0:
        only_read()
    asked = json.loads(sys.stdin.read(LONGEST_QUESTIONS))
    sections = answer(asked["questions"]) if asked["program"] == own else {}
    json.dump({"program": own, "sections": sections}, sys.stdout, ensure_ascii=False, sort_keys=True)
    sys.stdout.write("\n")
