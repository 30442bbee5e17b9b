"""What a probe declares before it acts: its fact, what it tries, what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from socle.audit.collect.collector import FactKind
from socle.audit.model import Fact
from socle.audit.probe.canaries import Canaries
from socle.site import Site

type Answer = Literal["accepted", "refused"]
"""What a way in says, in facts."""


@dataclass(frozen=True)
class Ground:
    """Where probes of one run act.

    Args:
        canaries: the two tenants and the account that are theirs, made when first asked for.
    """

    site: Site
    canaries: Canaries


@dataclass(frozen=True)
class Probe:
    """One trial.

    Args:
        name: as commands call it.
        fact: what it yields; a subject that it does not reach is not evaluated.
        tried: what it does, in French.
        effects: its side effects, in French; all of them, those that pass too.
        run: does it. Raises whatever goes wrong, which becomes the problem of each subject.
    """

    name: str
    fact: FactKind
    tried: str
    effects: str
    run: Callable[[Ground], Iterable[Fact]]

    def told(self, subject: str, value: dict[str, Any]) -> Fact:
        """The fact of one subject, with its moment and what was tried."""
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        return Fact(name=self.fact.name, subject=subject, value={"at": moment, "tried": self.tried, **value})

    def unread(self, subject: str, problem: str) -> Fact:
        """The fact of one subject that could not be tried, with the reason in French."""
        return Fact(name=self.fact.name, subject=subject, problem=problem)


def answer(accepted: bool) -> Answer:
    """How a trial ended, in a word."""
    return "accepted" if accepted else "refused"
