"""The journal of runs: what, when, who, which commit, and how long each phase took."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from socle import durable
from socle.deploy.lock import user
from socle.deploy.processes import lives, started
from socle.errors import SocleError
from socle.paths import project_root

Result = Literal["running", "done", "failed", "interrupted"]
KEPT = 100
"""Runs that the journal keeps."""


@dataclass
class PhaseRecord:
    """One phase of a run; times in seconds."""

    name: str
    seconds: float = 0.0
    changed: int = 0
    executions: int = 0
    result: Result = "running"
    tasks: dict[str, float] = field(default_factory=dict)
    """Ansible's tasks by ``role: name``, with the time from each to the next."""


@dataclass
class Run:
    """One run, written to ``run.json`` at each step so that a kill leaves what is known."""

    folder: Path
    command: str
    user: str
    commit: str
    when: str
    pid: int
    started: int | None
    phases: list[PhaseRecord] = field(default_factory=list)
    seconds: float = 0.0
    result: Result = "running"
    error: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, name: str) -> PhaseRecord:
        """Begin a phase."""
        record = PhaseRecord(name)
        self.phases.append(record)
        self.write()
        return record

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Write how the block ends and how long it took."""
        clock = Clock()
        try:
            yield
        except BaseException as error:
            self.result = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            self.error = str(error)
            raise
        else:
            self.result = "done"
        finally:
            self.seconds = clock.seconds
            self.write()

    def facts(self) -> dict[str, Any]:
        """The run as JSON holds it."""
        return {
            name: [asdict(p) for p in value]
            if name == "phases"
            else str(value)
            if name == "folder"
            else value
            for name, value in vars(self).items()
            if name != "_lock"
        }

    def write(self) -> None:
        """Write ``run.json`` by one rename; it is on disk when this returns.

        Raises:
            SocleError: the disk is full or the folder cannot be written.
        """
        with self._lock:
            durable.write(self.folder / "run.json", json.dumps(self.facts(), indent=1) + "\n")


def begin(state: Path, command: str) -> Run:
    """A new run under ``state/journal/``; the oldest beyond ``KEPT`` are removed.

    Raises:
        SocleError: the disk is full or the folder cannot be written.
    """
    now = datetime.now().astimezone()
    name = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}-{command.partition(' ')[0]}"
    folder = state / "journal" / name
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    when = now.isoformat(sep=" ", timespec="seconds")
    run = Run(folder, command, user(), commit_in_place(), when, os.getpid(), started(os.getpid()))
    run.write()
    _prune(state)
    return run


def runs(state: Path) -> list[dict[str, Any]]:
    """All recorded runs, oldest first; one that was killed, or whose record is lost, reads as interrupted."""
    return [_read(path) for path in sorted((state / "journal").glob("*/run.json"))]


def last_seconds(state: Path, command: str) -> dict[str, float]:
    """How long each phase took in the latest run of a command that finished it."""
    found: dict[str, float] = {}
    for run in runs(state):
        if run["command"] == command:
            found.update({p["name"]: p["seconds"] for p in run["phases"] if p["result"] == "done"})
    return found


def times_before(found: list[dict[str, Any]], command: str, folder: str) -> dict[str, float]:
    """The phases' times in the latest run of a command that ended well before another run began."""
    former = [r for r in found if r["command"] == command and r["result"] == "done" and r["folder"] < folder]
    return {phase["name"]: phase["seconds"] for phase in former[-1]["phases"]} if former else {}


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Rounded to tenths."""
        return round(time.monotonic() - self._start, 1)


def _read(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return _lost(path)
    if facts["result"] == "running":
        facts["seconds"] = round(
            _last_sign(path, facts) - datetime.fromisoformat(facts["when"]).timestamp(), 1
        )
    if facts["result"] == "running" and not lives(facts["pid"], facts["started"]):
        facts["result"] = "interrupted"
        for phase in facts["phases"]:
            if phase["result"] == "running":
                phase["result"] = "interrupted"
    return facts


def _lost(path: Path) -> dict[str, Any]:
    """What is known of a run whose record a power cut made unreadable: that it was begun, and when."""
    command = path.parent.name.partition("-")[2]
    when = datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(sep=" ", timespec="seconds")
    run = Run(path.parent, command, "unknown", "unknown", when, 0, None)
    run.result, run.error = "interrupted", "its record cannot be read"
    return run.facts()


def _last_sign(path: Path, facts: dict[str, Any]) -> float:
    """Now for a run that lives; of one that was killed, the last time that it wrote."""
    return time.time() if lives(facts["pid"], facts["started"]) else path.stat().st_mtime


def _prune(state: Path) -> None:
    for folder in sorted((state / "journal").iterdir())[:-KEPT]:
        shutil.rmtree(folder)


def commit_in_place() -> str:
    """The commit of the checkout, with ``-dirty`` when files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _cannot_write(folder: Path, error: OSError) -> SocleError:
    return SocleError(f"cannot be written: {error.strerror}", where=str(folder), write="make room there")
