"""The content of a report, counted once: every form takes its numbers from here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from socle.audit.model import Audit, Control, Facts, Judgement, Requirement, Status, Verdict

SEVERITIES: Final = ("critical", "high", "medium", "low")
SEVERITY_FR: Final = {"critical": "critique", "high": "élevée", "medium": "moyenne", "low": "faible"}
ZONE: Final = ZoneInfo("Europe/Paris")


@dataclass(frozen=True)
class Past:
    """An earlier audit of the chain: when, and how many requirements had which status."""

    moment: datetime
    kind: str
    counts: Mapping[Status, int]


@dataclass(frozen=True)
class Row:
    """One requirement as the grid shows it."""

    requirement: Requirement
    verdict: Verdict
    controls: tuple[tuple[Control, Judgement], ...]

    @property
    def chapter(self) -> str:
        """Number of its chapter."""
        return self.requirement.id.partition(".")[0]


@dataclass(frozen=True)
class Content:
    """All that a report says.

    Args:
        proof: name of the signed bundle and SHA-256 of its manifest; None when nothing was signed.
        past: earlier audits of the same kind, oldest first.
        unproved: what of the bundles could not be proved, in French.
    """

    title: str
    organisation: str
    audit: Audit
    facts: Facts
    controls: Mapping[str, Control]
    requirements: Mapping[str, Requirement]
    chapters: Mapping[str, str]
    proof: tuple[str, str] | None = None
    past: tuple[Past, ...] = ()
    unproved: tuple[str, ...] = ()
    judges: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Every requirement, in the order of the referential."""
        judgements = {judgement.control: judgement for judgement in self.audit.judgements}
        return tuple(
            Row(
                self.requirements[verdict.requirement],
                verdict,
                tuple((self.controls[name], judgements[name]) for name in verdict.controls),
            )
            for verdict in self.audit.verdicts
        )

    @cached_property
    def counts(self) -> dict[Status, int]:
        """Requirements by status, every status named."""
        return _counted(verdict.status for verdict in self.audit.verdicts)

    @cached_property
    def by_chapter(self) -> dict[str, dict[Status, int]]:
        """Requirements by chapter and status."""
        chapters = dict.fromkeys(row.chapter for row in self.rows)
        return {c: _counted(row.verdict.status for row in self.rows if row.chapter == c) for c in chapters}

    @cached_property
    def control_counts(self) -> dict[Status, int]:
        """Controls by status."""
        return _counted(judgement.status for judgement in self.audit.judgements)

    @cached_property
    def by_severity(self) -> dict[str, dict[Status, int]]:
        """Controls by severity and status."""
        return {
            severity: _counted(
                judgement.status
                for judgement in self.audit.judgements
                if self.controls[judgement.control].severity == severity
            )
            for severity in SEVERITIES
        }

    @cached_property
    def failures(self) -> tuple[tuple[Control, Judgement], ...]:
        """Controls that are not in conformity, the gravest first."""
        found = [
            (self.controls[judgement.control], judgement)
            for judgement in self.audit.judgements
            if judgement.status in {Status.NON_CONFORME, Status.WAIVED}
        ]
        return tuple(sorted(found, key=lambda one: SEVERITIES.index(one[0].severity)))

    @property
    def limits(self) -> tuple[str, ...]:
        """What the report cannot say: first what is not proved of the bundles that it tells of."""
        return (*(f"Non prouvé : {line}" for line in self.unproved), *self.audit.limits)

    @property
    def scope(self) -> dict[str, tuple[str, ...]]:
        """What was looked at: subjects of each fact, by fact."""
        return dict(self.facts.expected)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that were to be read."""
        names = {
            s for fact, subjects in self.facts.expected.items() if fact.startswith("host.") for s in subjects
        }
        return tuple(sorted(names))


def _counted(statuses: Iterable[Status]) -> dict[Status, int]:
    counted = Counter(statuses)
    return {status: counted[status] for status in Status}


def content(
    audit: Audit,
    facts: Facts,
    controls: Mapping[str, Control],
    requirements: Mapping[str, Requirement],
    chapters: Mapping[str, str],
    **more: object,
) -> Content:
    """The content of a report on one audit; see ``Content`` for what more there is to say."""
    given = {"title": audit.site, "organisation": "", **more}
    return Content(
        audit=audit,
        facts=facts,
        controls=controls,
        requirements=requirements,
        chapters=chapters,
        **given,  # type: ignore[arg-type]
    )


def when(moment: datetime) -> str:
    """A moment as the French read it, in Paris."""
    return f"{moment.astimezone(ZONE):%d/%m/%Y à %H:%M:%S}"
