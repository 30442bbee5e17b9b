"""Phases with what each waits for: those that are ready run beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from socle.deploy.events import Outcome
from socle.deploy.journal import Clock, PhaseRecord, Run
from socle.deploy.progress import Line, Screen


class Reporter:
    """Puts a phase on the screen and in the journal; it may show as several, one after another."""

    def __init__(self, run: Run, screen: Screen, last: dict[str, float]) -> None:
        self._run, self._screen, self._last = run, screen, last
        self._current: tuple[PhaseRecord, Line, Clock] | None = None

    def begin(self, name: str) -> None:
        """Open a phase, and close the one before; nothing when it is the same."""
        if self._current and self._current[0].name == name:
            return
        self.did(0)
        self._current = (self._run.add(name), self._screen.begin(name, self._last.get(name)), Clock())

    def tell(self, text: str) -> None:
        """Say what goes on."""
        if self._current:
            self._screen.tell(self._current[1], text)

    def end(self, outcome: Outcome) -> None:
        """Close the phase with what it did."""
        self._close("failed" if outcome.failed else "done", outcome)

    def fail(self) -> None:
        """Close the phase, if one is open, as failed."""
        self._close("failed", Outcome())

    def did(self, changed: int) -> None:
        """Close the phase with a number of changes."""
        self._close("done", Outcome(), changed)

    def _close(self, result: str, outcome: Outcome, changed: int = 0) -> None:
        if self._current is None:
            return
        record, line, clock = self._current
        self._current = None
        record.result = "done" if result == "done" else "failed"
        record.seconds = clock.seconds
        record.changed = changed or len(outcome.changes)
        record.executions = outcome.executions
        record.tasks = outcome.tasks
        self._screen.end(line, record.changed, failed=result != "done")
        self._run.write()


@dataclass(frozen=True)
class Phase:
    """One node of the graph.

    Args:
        name: unique; of the phase that is open while nothing else is said.
        work: does it, and reports.
        after: phases that must have ended well, where they are part of the run.
    """

    name: str
    work: Callable[[Reporter], None]
    after: tuple[str, ...] = ()


def execute(phases: Iterable[Phase], reporter: Callable[[], Reporter], stop: Callable[[], None]) -> None:
    """Run all phases. When one fails nothing new is begun, what runs may end, and its error is raised.

    Args:
        reporter: makes one for each phase.
        stop: ends at once what runs; called when the person interrupts.
    """
    waiting = {phase.name: phase for phase in phases}
    absent = {name for phase in waiting.values() for name in phase.after} - set(waiting)
    done = absent
    running: dict[Future[None], str] = {}
    errors: list[BaseException] = []
    with ThreadPoolExecutor(max(len(waiting), 1)) as pool:
        try:
            while running or (waiting and not errors):
                for phase in _ready(waiting, done) if not errors else []:
                    del waiting[phase.name]
                    running[pool.submit(_run, phase, reporter())] = phase.name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    error = future.exception()
                    done.update([] if error else [name])
                    errors += [error] if error else []
        except BaseException:
            stop()
            raise
    if errors:
        raise errors[0]


def _ready(waiting: dict[str, Phase], done: set[str]) -> list[Phase]:
    return [phase for phase in waiting.values() if done.issuperset(phase.after)]


def _run(phase: Phase, reporter: Reporter) -> None:
    reporter.begin(phase.name)
    try:
        phase.work(reporter)
    except BaseException:
        reporter.fail()
        raise
    reporter.did(0)
