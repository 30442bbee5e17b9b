"""Signals that end a run, held back while a node is being changed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Makes ``KeyboardInterrupt`` of every signal that asks the process to end; for the main thread.

    Example:
        >>> with Interrupts() as interrupts, interrupts.held():
        ...     pass  # a signal that comes here is raised at the end of the block
    """

    def __init__(self) -> None:
        self.asked = False
        self._holding = 0

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._note) for number in ENDING}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self, *, silent: bool = False) -> Iterator[None]:
        """Let a block end first; ``silent``: what was asked meanwhile is not raised, the run ends anyway."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1
        if self.asked and not silent and not self._holding:
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if not self._holding:
            raise KeyboardInterrupt
