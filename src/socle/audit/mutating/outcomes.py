"""What became of each control whose setting was to be broken on the lab; people read it in French."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any


class Result(StrEnum):
    """Of one control."""

    FOUND = "trouvé"
    MISSED = "manqué"
    NOT_BROKEN = "non cassé"
    NOT_REPAIRED = "non réparé"
    NOT_GREEN = "pas vert avant"
    NOT_LIVE = "non cassable au laboratoire"


class MutationExit(IntEnum):
    """How ``socle audit mutations`` ends, beside the codes of every command; the gravest counts."""

    FOUND = 0
    MISSED = 10
    NOT_TRIED = 11
    NOT_REPAIRED = 12


@dataclass(frozen=True)
class Outcome:
    """One control.

    Args:
        node: where it was broken.
        detail: what it found, or why it was not broken, in French.
        also: controls that turned red with it and are not said to.
        seconds: from the break to the reading that judged it.
    """

    control: str
    result: Result
    node: str | None = None
    detail: str = ""
    also: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Mutations:
    """One run.

    Args:
        repaired: what a killed run had left broken and this one repaired first.
        changed: controls that turned red while nothing was broken any more, so that nobody knows why.
        broken: what is still broken at the end, a line for each.
        left: controls that were to be tried and were not, for want of time or because the run was ended.
    """

    site: str
    started: datetime
    ended: datetime
    outcomes: tuple[Outcome, ...]
    repaired: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    seed: int | None = None
    interrupted: bool = False

    @property
    def counts(self) -> Counter[Result]:
        """How many controls there are of each result."""
        return Counter(outcome.result for outcome in self.outcomes)

    @property
    def exit_code(self) -> MutationExit:
        """What the run is for a script."""
        counts = self.counts
        if self.broken or counts[Result.NOT_REPAIRED]:
            return MutationExit.NOT_REPAIRED
        if counts[Result.MISSED] or self.changed or any(outcome.also for outcome in self.outcomes):
            return MutationExit.MISSED
        if counts[Result.NOT_BROKEN] or counts[Result.NOT_GREEN] or self.left:
            return MutationExit.NOT_TRIED
        return MutationExit.FOUND

    def as_json(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {
            "site": self.site,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat(),
            "seed": self.seed,
            "interrupted": self.interrupted,
            "counts": {result.value: self.counts[result] for result in Result},
            "side_reds": sum(bool(outcome.also) for outcome in self.outcomes),
            "repaired": list(self.repaired),
            "changed": list(self.changed),
            "broken": list(self.broken),
            "left": list(self.left),
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
            "code": int(self.exit_code),
        }

    @staticmethod
    def of_json(told: Mapping[str, Any]) -> Mutations:
        """What ``as_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return Mutations(
            site=told["site"],
            started=datetime.fromisoformat(told["started"]),
            ended=datetime.fromisoformat(told["ended"]),
            outcomes=tuple(
                Outcome(**one | {"result": Result(one["result"]), "also": tuple(one["also"])})
                for one in told["outcomes"]
            ),
            repaired=tuple(told["repaired"]),
            changed=tuple(told["changed"]),
            broken=tuple(told["broken"]),
            left=tuple(told["left"]),
            seed=told["seed"],
            interrupted=told["interrupted"],
        )

    def after(self, earlier: Mutations) -> Mutations:
        """Both runs as one: what this one tried again counts, the rest stays as it was."""
        again = {outcome.control for outcome in self.outcomes}
        kept = [outcome for outcome in earlier.outcomes if outcome.control not in again]
        return replace(
            self,
            started=earlier.started,
            outcomes=(*kept, *self.outcomes),
            repaired=(*earlier.repaired, *self.repaired),
            changed=tuple(dict.fromkeys((*earlier.changed, *self.changed))),
        )

    def ordered(self, controls: Sequence[str]) -> Mutations:
        """The same, its outcomes in the order of all controls."""
        place = {name: number for number, name in enumerate(controls)}
        last = len(place)
        by_place = sorted(self.outcomes, key=lambda outcome: place.get(outcome.control, last))
        return replace(self, outcomes=tuple(by_place))
