"""What a person sees while a run goes on: each phase with its current task, its time, and last time's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

MINUTE = 60
QUIET_FOR = 30.0
"""Seconds after which a phase that still runs says what it does, where nobody looks at a terminal."""


def duration(seconds: float) -> str:
    """``42.0 s`` below a minute, ``3 min 07 s`` above."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    return f"{minutes} min {rest:02d} s"


@dataclass
class Line:
    """One phase on the screen."""

    name: str
    last: float | None
    started: float = field(default_factory=time.monotonic)
    task: str = ""
    ended: float | None = None
    changed: int = 0
    failed: bool = False
    said: float = field(default_factory=time.monotonic)
    spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return (self.ended or time.monotonic()) - self.started


class Screen:
    """Shows phases as they run; on a terminal in place, otherwise a line when each begins and ends."""

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
        with Live(self, console=self.console, refresh_per_second=5):
            yield

    def begin(self, name: str, last: float | None) -> Line:
        """Add a phase."""
        line = Line(name, last)
        with self._lock:
            self.lines.append(line)
        before = f" (last time {duration(last)})" if last else ""
        self._say(f"{name} …{before}")
        return line

    def tell(self, line: Line, task: str) -> None:
        """Say what a phase does now; without a terminal not more often than every ``QUIET_FOR`` seconds."""
        line.task = task
        now = time.monotonic()
        if now - line.said >= QUIET_FOR:
            line.said = now
            self._say(f"{line.name}: {task}")

    def end(self, line: Line, changed: int, *, failed: bool = False) -> None:
        """Close a phase."""
        line.ended, line.changed, line.failed = time.monotonic(), changed, failed
        self._say(f"{line.name}: {_result(line)}, {duration(line.seconds)}")

    def _say(self, text: str) -> None:
        if not self.console.is_terminal:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __rich__(self) -> Table:
        """All phases as a table."""
        table = Table.grid(padding=(0, 2))
        table.add_column()
        table.add_column()
        table.add_column(justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis")
        with self._lock:
            lines = list(self.lines)
        for line in lines:
            table.add_row(_mark(line), line.name, duration(line.seconds), _words(line))
        return table


def _mark(line: Line) -> Text | Spinner:
    if line.ended is None:
        return line.spinner
    return Text("✗", style="bold red") if line.failed else Text("✓", style="green")


def _words(line: Line) -> Text:
    before = Text(f"last time {duration(line.last)}  " if line.last else "", style="dim")
    if line.ended is None:
        return before + Text(line.task, style="cyan")
    return before + Text(_result(line), style="red" if line.failed else "dim")


def _result(line: Line) -> str:
    if line.failed:
        return "failed"
    return f"{line.changed} changed" if line.changed else "nothing changed"
