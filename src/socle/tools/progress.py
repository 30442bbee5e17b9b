"""What a build says while it runs: what, for how long, and how long it took last time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


BUILT = "is built"


@dataclass(frozen=True)
class Progress:
    """One report of a build; times in seconds.

    Attributes:
        name: of the binary.
        step: ``waits for another build``, ``is being built`` or ``is built``.
        elapsed: since this build was asked for.
        last: what the same build took last time, if it is known.
    """

    name: str
    step: str
    elapsed: float
    last: float | None = None

    @property
    def done(self) -> bool:
        """Whether this was the last report of a build that ended well."""
        return self.step == BUILT

    def __str__(self) -> str:
        last = f" (last time {duration(self.last)})" if self.last is not None else ""
        return f"{self.name} {self.step}: {duration(self.elapsed)}{last}"


OnProgress = Callable[[Progress], None]


def to_stderr(progress: Progress) -> None:
    """Write the report as a line of standard error."""
    sys.stderr.write(f"{progress}\n")
    sys.stderr.flush()


def duration(seconds: float) -> str:
    """``42 s`` or ``3 min 38 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def last_duration(folder: Path, name: str) -> float | None:
    """How long the last build of a binary took, in seconds; None before the first."""
    return _durations(folder).get(name)


def remember_duration(folder: Path, name: str, seconds: float) -> None:
    """Keep how long a build took; the caller holds the lock of the folder."""
    file = folder / "durations.json"
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({**_durations(folder), name: round(seconds, 1)}))
    fresh.replace(file)


def _durations(folder: Path) -> dict[str, float]:
    file = folder / "durations.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}
