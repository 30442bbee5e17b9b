"""One run at a time for each site: the second one says who holds the lock."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from socle.deploy.processes import lives, started
from socle.errors import ExitCode, SocleError

REMAINS = 60.0
"""Seconds that the children of a killed run have to end."""


@contextmanager
def hold(path: Path) -> Iterator[int]:
    """Hold the lock at ``path``; gives its file descriptor, for children that work on the site.

    The kernel frees it when its holder and those children are dead, so that a kill leaves no stale lock and
    the next run does not work beside the remains of a killed one.

    Raises:
        SocleError: another process holds it (exit code 5).
    """
    with path.open("a+", encoding="utf-8") as stream:
        _take(stream, path)
        stream.truncate(0)
        stream.write(json.dumps(_holder()) + "\n")
        stream.flush()
        try:
            yield stream.fileno()
        finally:
            stream.truncate(0)


def user() -> str:
    """Who runs the command: the person behind ``sudo`` if there is one."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def command_line() -> str:
    """The command as it was typed."""
    return " ".join(["socle", *sys.argv[1:]])


def _take(stream: TextIO, path: Path) -> None:
    end = time.monotonic() + REMAINS
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(path)
            if _alive(holder) or time.monotonic() > end:
                raise _held(path, holder) from None
            time.sleep(0.2)
        else:
            return


def _holder() -> dict[str, str | int | None]:
    return {
        "pid": os.getpid(),
        "started": started(os.getpid()),
        "user": user(),
        "host": socket.gethostname(),
        "command": command_line(),
        "since": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
    }


def _read(path: Path) -> dict[str, Any]:
    """Who holds it; empty while the holder has not yet written its name."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _alive(holder: dict[str, Any]) -> bool:
    """Whether the holder itself lives; of another machine (a shared state folder) nobody can tell."""
    if not holder:
        return False
    elsewhere = holder.get("host") != socket.gethostname()
    return elsewhere or lives(int(holder.get("pid", 0)), holder.get("started"))


def _held(path: Path, holder: dict[str, Any]) -> SocleError:
    if holder:
        what = (
            f"{holder.get('user')} runs `{holder.get('command')}` on {holder.get('host')} "
            f"(process {holder.get('pid')}) since {holder.get('since')}"
        )
    else:
        what = "another run holds the lock"
    return SocleError(
        what, where=str(path), write="wait for it to end, or stop it", exit_code=ExitCode.LOCKED
    )
