"""Rounds of trials: break one setting on each of several nodes, read, judge, repair, see it repaired."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final

from socle.audit.judging import judge_all
from socle.audit.model import Control, Facts, Finding, Judgement, Status
from socle.audit.mutating.broken import Bench
from socle.audit.mutating.interrupts import Interrupts
from socle.audit.mutating.outcomes import Outcome, Result
from socle.audit.mutating.trials import Trial
from socle.errors import SocleError

READINGS: Final = 3
"""How often a setting that seems not to be noticed is read, alone, before it is missed."""
PAUSE: Final = 3.0
"""Seconds between them: a reload is not done when systemd says so."""

FILES: Final = "config."
"""Facts of one component's files on a node: they do not touch each other either."""
OF_ALL: Final = ("config.drift", "config.overrides")
"""Those of the files of all components."""

type Read = Callable[[Sequence[Trial]], Facts]
"""Reads again what tells of some trials, and nothing else."""
type Tell = Callable[[Outcome], None]
type Settled = Callable[[Sequence[Outcome]], None]
"""Hears the outcomes whose settings were seen repaired, each time there may be more of them."""


class Rounds:
    """Tries controls one after the other; at once those of different nodes, files or services.

    One reading serves twice: it shows the round's settings broken, and those of the round before repaired.
    Whatever is not as awaited is tried again alone, between two readings of a repaired lab, and only that
    counts.

    Args:
        until: nothing is broken after it, a time of ``time.monotonic``; what is broken then is repaired.
    """

    def __init__(
        self,
        controls: Mapping[str, Control],
        facts: Facts,
        *,
        bench: Bench,
        read: Read,
        interrupts: Interrupts,
        tell: Tell = lambda _outcome: None,
        settled: Settled = lambda _outcomes: None,
        until: float | None = None,
        pause: float = PAUSE,
    ) -> None:
        self.controls = {
            name: control for name, control in controls.items() if set(control.needs) <= facts.expected.keys()
        }
        self.before = self._judged(facts)
        self.outcomes: dict[str, Outcome] = {}
        self.changed: list[str] = []
        self._bench, self._read, self._interrupts = bench, read, interrupts
        self._tell, self._settled = tell, settled
        self._until, self._pause = until, pause
        self._unproved: list[Trial] = []

    def run(self, trials: Sequence[Trial]) -> None:
        """Try all of them, or those there is time for; ``outcomes`` and ``changed`` fill up on the way.

        Raises:
            SocleError: a setting could not be repaired; the others are left untried.
        """
        green = [trial for trial in trials if self._green(trial)]
        for queues in _phases(green):
            for row in zip_longest(*queues):
                if self._late():
                    break
                self._round([trial for trial in row if trial])
                self._settle()
            self._see_repaired()

    def _late(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def _settle(self) -> None:
        waiting = {trial.control.id for trial in self._unproved}
        self._settled([outcome for name, outcome in self.outcomes.items() if name not in waiting])

    def _green(self, trial: Trial) -> bool:
        """Whether a trial can prove anything: red before, nobody would see it turn red."""
        judgement = self.before[trial.control.id]
        if judgement.status is Status.NON_CONFORME or (
            judgement.status is Status.NOT_EVALUATED and not judgement.read
        ):
            self._ended(trial, Result.NOT_GREEN, f"{judgement.status.value} : {_told(judgement)}")
            return False
        return True

    def _round(self, trials: list[Trial]) -> None:
        started = time.monotonic()
        broken = [trial for trial in trials if self._broken(trial)]
        if not broken:
            return
        after = self._judged(self._read([*broken, *self._before(broken)]))
        self._repair(broken)
        allowed = frozenset().union(*(trial.allowed for trial in broken))
        repaired = all(
            trial.control.id in allowed or self._as_before(after, trial) for trial in self._before(broken)
        )
        explained = all(_explained(after[name], broken) for name in self._red(after))
        noticed = all(_noticed(after, trial, among=broken) for trial in broken)
        if repaired and noticed and explained:
            self._unproved = [one for one in self._unproved if one not in self._before(broken)] + broken
            for trial in broken:
                self._found(trial, after, started)
            return
        self._unproved += broken
        for trial in broken:
            if self._late():
                return
            self._alone(trial)

    def _before(self, trials: list[Trial]) -> list[Trial]:
        """The repaired trials that a reading of these shows as well."""
        same = [
            one
            for one in self._unproved
            if any(one.sources == trial.sources and one.node == trial.node for trial in trials)
        ]
        if not trials[0].by_session:
            same += [one for one in self._unproved if one.sources == trials[0].sources and one not in same]
        return same

    def _alone(self, trial: Trial) -> None:
        """One trial between two readings of the repaired lab."""
        self._see_repaired()
        if trial.control.id in self.outcomes or not self._green(trial):
            return
        started = time.monotonic()
        if not self._broken(trial):
            return
        for left in reversed(range(READINGS)):
            after = self._judged(self._read([trial]))
            if _noticed(after, trial) or not left:
                break
            time.sleep(self._pause)
        self._repair([trial])
        self._unproved.append(trial)
        if _noticed(after, trial):
            self._found(trial, after, started, tuple(sorted(self._red(after) - trial.allowed)))
        else:
            self._ended(trial, Result.MISSED, _told(after[trial.control.id]))
        self._see_repaired()

    def _see_repaired(self) -> None:
        """Read the repaired lab; what is still red is said, and is not held against later trials."""
        trials, self._unproved = self._unproved, []
        if not trials:
            return
        for left in reversed(range(READINGS)):
            after = self._judged(self._read(trials))
            wrong = [trial for trial in trials if not self._as_before(after, trial)]
            if not (wrong or self._red(after)) or not left:
                break
            time.sleep(self._pause)
        for trial in wrong:
            self._ended(trial, Result.NOT_REPAIRED, _told(after[trial.control.id]))
        expected = frozenset().union(*(trial.allowed for trial in wrong))
        self.changed += sorted(self._red(after) - expected)
        self.before = {
            name: after[name] if judgement.status is not after[name].status else judgement
            for name, judgement in self.before.items()
        }
        self._settle()

    def _broken(self, trial: Trial) -> bool:
        with self._interrupts.held():
            try:
                self._bench.breaks(trial.setting)
            except SocleError as error:
                self._repair([trial])
                self._ended(trial, Result.NOT_BROKEN, error.what)
                return False
        return True

    def _repair(self, trials: list[Trial]) -> None:
        with self._interrupts.held():
            for trial in reversed(trials):
                try:
                    self._bench.repair(trial.setting)
                except SocleError as error:
                    self._ended(trial, Result.NOT_REPAIRED, error.what)
                    raise

    def _as_before(self, after: Mapping[str, Judgement], trial: Trial) -> bool:
        return _seen(after[trial.control.id]) == _seen(self.before[trial.control.id])

    def _red(self, after: Mapping[str, Judgement]) -> frozenset[str]:
        """The controls that are red and were not."""
        return frozenset(
            name
            for name, judgement in after.items()
            if judgement.status is Status.NON_CONFORME and self.before[name].status is not Status.NON_CONFORME
        )

    def _judged(self, facts: Facts) -> dict[str, Judgement]:
        return {judgement.control: judgement for judgement in judge_all(self.controls, facts)}

    def _found(
        self, trial: Trial, after: Mapping[str, Judgement], started: float, also: tuple[str, ...] = ()
    ) -> None:
        detail = _told(after[trial.control.id])
        self._ended(trial, Result.FOUND, detail, also, time.monotonic() - started)

    def _ended(
        self, trial: Trial, result: Result, detail: str, also: tuple[str, ...] = (), seconds: float = 0.0
    ) -> None:
        outcome = Outcome(trial.control.id, result, trial.node, detail, also, round(seconds, 1))
        self.outcomes[trial.control.id] = outcome
        self._tell(outcome)


def _phases(trials: Sequence[Trial]) -> Iterator[list[list[Trial]]]:
    """Queues that go forward together: those of nodes, of their components' files, of each other source."""
    phases: dict[str, dict[str, list[Trial]]] = {"nodes": {}, "files": {}}
    for trial in trials:
        fact = trial.control.needs[0]
        if not trial.by_session:
            phase, queue = " ".join(sorted(trial.sources)), fact.partition(".")[0]
        elif fact.startswith(FILES) and fact not in OF_ALL and trial.live.files:
            phase, queue = "files", f"{trial.node} {fact}"
        else:
            phase, queue = "nodes", trial.node
        phases.setdefault(phase, {}).setdefault(queue, []).append(trial)
    for queues in phases.values():
        yield list(queues.values())


def _noticed(after: Mapping[str, Judgement], trial: Trial, among: Sequence[Trial] = ()) -> bool:
    """Whether its control is red, and where sessions tell of it, by what is broken for it."""
    judgement = after[trial.control.id]
    return judgement.status is Status.NON_CONFORME and any(
        not trial.by_session or _comes_of(finding, trial, among) for finding in judgement.findings
    )


def _explained(judgement: Judgement, broken: Sequence[Trial]) -> bool:
    """Whether a red comes with what is broken, every finding of it where sessions tell."""
    allowing = [trial for trial in broken if judgement.control in trial.allowed]
    if not broken[0].by_session:
        return bool(allowing)
    return all(any(_comes_of(finding, trial, broken) for trial in allowing) for finding in judgement.findings)


def _comes_of(finding: Finding, trial: Trial, among: Sequence[Trial]) -> bool:
    """Whether it is on the trial's node, and names its file if something else is broken there as well."""
    if not f"{finding.subject} ".startswith(f"{trial.node} "):
        return False
    told = f"{finding.subject} {finding.found}"
    alone = all(one is trial or one.node != trial.node for one in among)
    return alone or any(file in told for file in trial.live.files)


def _seen(judgement: Judgement) -> tuple[Status, frozenset[str]]:
    return judgement.status, frozenset(finding.subject for finding in judgement.findings)


def _told(judgement: Judgement) -> str:
    first = judgement.findings[0] if judgement.findings else None
    text = f"{first.subject} : {first.found}" if first else judgement.reason or judgement.status.value
    return text[:200]
