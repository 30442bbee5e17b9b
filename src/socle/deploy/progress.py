"""What a person sees while a run goes on: each phase with its current task, its time, and its time of last time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


def duration(seconds: float) -> str:
    """``42.0 s`` below a minute, ``3 min 07 s`` above."""
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


@dataclass
class Line:
    """One phase on the screen."""

    name: str
    last: float | None
    started: float = field(default_factory=time.monotonic)
    task: str = ""
    ended: float | None = None
    changed: int | None = None
    failed: bool = False

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return (self.ended or time.monotonic()) - self.started


class Screen:
    """Shows phases as they run; on a terminal in place, otherwise one line when each begins and ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.lines: list[Line] = []
        self._lock = threading.Lock()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep the screen fresh inside the block."""
        if not self.console.is_terminal:
            yield
            return
        with Live(self, console=self.console, refresh_per_second=8, transient=False):
            yield

    def begin(self, name: str, last: float | None) -> Line:
        """Add a phase."""
        line = Line(name, last)
        with self._lock:
            self.lines.append(line)
        if not self.console.is_terminal:
            before = f" (last time {duration(last)})" if last else ""
            self.console.print(f"{name} …{before}", highlight=False)
        return line

    def end(self, line: Line, changed: int, failed: bool = False) -> None:
        """Close a phase."""
        line.ended, line.changed, line.failed = time.monotonic(), changed, failed
        if not self.console.is_terminal:
            what = "failed" if failed else "unchanged" if changed == 0 else f"{changed} changed"
            self.console.print(f"{line.name}: {what}, {duration(line.seconds)}", highlight=False)

    def __rich__(self) -> Group:
        """All phases as a table."""
        table = Table.grid(padding=(0, 2))
        with self._lock:
            lines = list(self.lines)
        for line in lines:
            table.add_row(_mark(line), line.name, duration(line.seconds), _before(line), _words(line))
        return Group(table)


def _mark(line: Line) -> Text | Spinner:
    if line.ended is None:
        return Spinner("dots")
    return Text("✗", style="bold red") if line.failed else Text("✓", style="green")


def _before(line: Line) -> Text:
    return Text(f"last time {duration(line.last)}" if line.last else "", style="dim")


def _words(line: Line) -> Text:
    if line.ended is None:
        return Text(line.task, style="cyan", overflow="ellipsis", no_wrap=True)
    return Text("unchanged" if line.changed == 0 else f"{line.changed} changed", style="dim")
