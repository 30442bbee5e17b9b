"""The names of rules, and what a rule takes and yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


class Deviation(NamedTuple):
    """One thing that is not as it must be, in French: the place, what is expected, what was found."""

    place: str
    expected: str
    found: str


class Unreadable(Exception):  # noqa: N818 - it is a verdict, not a failure
    """The fact does not tell what the rule needs: not evaluated, for this reason (in French)."""


@dataclass(frozen=True)
class Others:
    """What a rule has at hand beside the value that it judges.

    Args:
        subject: whose value is judged.
        moment: when the facts were read; a rule never asks the clock.
        facts: the other facts that the control needs: name → subject → value.
    """

    subject: str
    moment: datetime
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def one(self, name: str) -> Any:
        """A fact that has one subject only, as those of the site.

        Raises:
            Unreadable: it has none, or several.
        """
        values = list(self.facts.get(name, {}).values())
        if len(values) != 1:
            raise Unreadable(f"{name} : {len(values)} lectures au lieu d’une")
        return values[0]


type Rule = Callable[[Any, Mapping[str, Any], Others], Iterable[Deviation]]

RULES: dict[str, Rule] = {}
"""Every rule by its name."""


def rule(name: str) -> Callable[[Rule], Rule]:
    """Give a function its name as a rule."""

    def named(function: Rule) -> Rule:
        if name in RULES:
            raise ValueError(f"the rule {name} is defined twice")
        RULES[name] = function
        return function

    return named
