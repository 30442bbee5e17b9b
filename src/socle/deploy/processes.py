"""What the kit must know of processes: whether one still lives, and that a child does not outlive it."""

from __future__ import annotations

import shutil
from pathlib import Path


def started(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None when there is no such process.

    With the process number it is an identity: numbers are used again, the pair is not (proc(5), field 22).
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    state, *fields = status.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


def lives(pid: int, since: int | None) -> bool:
    """Whether the process that had this number and start is still there."""
    return since is not None and started(pid) == since


def dies_with_us() -> list[str]:
    """A prefix for a command that the kernel ends, kindly, when the thread that started it is gone."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []
