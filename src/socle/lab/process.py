"""Runs commands: their output goes into the error line, and they can be made to die with their parent."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from socle.errors import SocleError

Command = Sequence[str | Path]
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--")
PRIVATE_NAMESPACES = (*DIE_WITH_PARENT, *UNSHARE)
"""Mounts and processes of such a command vanish with it, however it or its parent ends."""


def run(
    argv: Command,
    *,
    doing: str,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    source: IO[bytes] | None = None,
    folder: Path | None = None,
) -> str:
    """Run a short command and return its standard output.

    Args:
        argv: the command and its arguments; never a secret among them.
        doing: what it is for, used in the error.
        text: standard input, or
        source: an open file to read it from.
        env: the whole environment, when not the caller's.
        folder: where it runs, when not in the caller's folder.

    Raises:
        SocleError: it failed, with the last line that it wrote to standard error.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            **({"stdin": source} if source else {"input": text}),
            env=env,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise SocleError(f"{argv[0]} is not installed", where=doing) from error
    if done.returncode:
        raise SocleError(_last_line(done.stderr) or f"{argv[0]} ended with {done.returncode}", where=doing)
    return done.stdout


def run_logged(argv: Command, log: Path, *, doing: str, env: Mapping[str, str] | None = None) -> None:
    """Run a long command with its whole output in a file, which the error names.

    Raises:
        SocleError: it failed, with the line of the log that says why.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            check=False,
        )
    if done.returncode:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise SocleError(_reason(text), where=doing, write=f"see {log}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _reason(text: str) -> str:
    """The first line that names an error (apt and dpkg write ``E:``), else the last one."""
    for line in text.splitlines():
        if line.startswith(("E: ", "Err:", "dpkg: error")):
            return line.removeprefix("E: ").strip()
    return _last_line(text) or "it failed without a word"
