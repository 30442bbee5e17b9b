"""One thing that was looked at, and the group that it is shown in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

State = Literal["well", "not well", "not evaluated"]
Fact = str | int | float


@dataclass(frozen=True)
class Finding:
    """One thing: what it is, how it is, why.

    Args:
        facts: columns of its table, the same for all of a section that were evaluated.
        expected: of what was not evaluated, whether the site says that the host cannot do it; otherwise an
            answer is missing, which is not well.
    """

    subject: str
    state: State
    facts: dict[str, Fact] = field(default_factory=dict)
    reason: str = ""
    expected: bool = False

    @property
    def well(self) -> bool:
        """Whether nobody needs to look."""
        return self.state == "well" or (self.state == "not evaluated" and self.expected)


@dataclass(frozen=True)
class Section:
    """Things of one kind."""

    name: str
    title: str
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether nobody needs to look."""
        return all(finding.well for finding in self.findings)


def unanswered(name: str, title: str, reason: str) -> Section:
    """A section of which nothing could be read."""
    return Section(name, title, (Finding(name, "not evaluated", reason=reason),))
