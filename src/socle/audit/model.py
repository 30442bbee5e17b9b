"""What the compliance suite is made of; every later part reads these types and nothing else.

Words that people see are French, as the grid is; names in files and code are English.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

FACTS_SCHEMA: Final = 1
"""Version of the form of facts; a file of another version is refused."""


class Status(StrEnum):
    """What is said of a control on a site, or of a requirement."""

    CONFORME = "conforme"
    PARTIAL = "partiellement conforme"
    NON_CONFORME = "non conforme"
    NOT_APPLICABLE = "non applicable"
    NOT_EVALUATED = "non évalué"
    WAIVED = "dérogation"
    EVIDENCE = "preuve présente et à jour"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


class ExpectedEvidence(_Record):
    """What people must put into the register for a requirement: what, whose, and how old it may be."""

    fr: str
    owner: str
    days: int


class Requirement(_Record):
    """One lettered requirement of SecNumCloud 3.2 in our own words; the official text is not held.

    ``automation`` says how much of it a machine can test; ``scope`` is the kinds of service that it is for.
    """

    id: str = Field(examples=["9.6.d"])
    section_title: str
    summary_fr: str
    summary_en: str
    modality: Literal["must", "should", "may"]
    automation: Literal["full", "partial", "evidence-only"]
    scope: str = "all"
    evidence: ExpectedEvidence | None = None


class LiveMutation(_Record):
    """How a control's setting is broken on a running lab, and what takes it back.

    The files are kept before and laid again afterwards, byte for byte; ``units`` are reloaded (or restarted
    where they cannot be) after both. ``break`` and ``repair`` run as root in a shell of the node (``sh -e``);
    a repair may run twice, or after a break that was cut short.
    """

    component: str | None = Field(None, description="On a host of this component", examples=["nova"])
    host: str | None = None
    files: tuple[str, ...] = ()
    break_: str = Field(alias="break")
    units: tuple[str, ...] = ()
    repair: str | None = None
    also: tuple[str, ...] = Field((), description="Controls that turn red with it on a running lab alone")


class Mutation(_Record):
    """What breaks exactly one control: in the facts always, on the running lab where that is possible.

    ``set`` replaces values by their path in the judged fact (steps joined by ``/``, list items by their
    number), of the first subject or of ``subject``; ``also`` names controls that read the same setting and
    turn red with it.
    """

    fact: str | None = Field(None, description="The first of ``needs`` when not said")
    subject: str | None = None
    set: dict[str, Any] = {}
    remove: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    live: LiveMutation | None = None
    not_live: str | None = Field(None, description="Why it is not broken on the lab, in French")


class Control(_Record):
    """One thing that a machine can tell of a site.

    The first of ``needs`` is the fact that is judged, subject by subject; the others are at the rule's hand.
    ``rule`` names the pure function, ``expect`` holds its parameters, ``mutate`` breaks exactly this setting.
    ``variable`` is the variable of the role, or the key of the site's files, by which it is repaired.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", examples=["ssh-root-login"])
    title_fr: str
    title_en: str
    requirements: tuple[str, ...] = Field(min_length=1)
    claim: Literal["full", "partial"]
    needs: tuple[str, ...] = Field(min_length=1)
    rule: str
    expect: dict[str, Any] = {}
    mutate: Mutation
    severity: Literal["low", "medium", "high", "critical"]
    remediation_fr: str
    variable: str | None = None
    waivable: bool = True
    frequency: Literal["daily", "weekly", "monthly"] = "daily"
    chapter: str = Field("", description="Folder of its file; filled in by the loader")


class Fact(_Record):
    """One reading of one subject. ``problem`` says, in French, why there is no value."""

    name: str = Field(examples=["host.sshd"])
    subject: str = Field(examples=["ctl1"])
    value: Any = None
    problem: str | None = None


class Facts(_Record):
    """All that was read in one pass, frozen.

    ``expected`` says of which subjects each fact had to be read: one that is missing is not evaluated, a
    fact that is not named here was not collected at all. ``permissions`` says as whom each source was read.
    """

    schema_version: Literal[1] = FACTS_SCHEMA
    site: str
    kind: Literal["static", "live"]
    services: tuple[str, ...] = Field(("IaaS",), description="Kinds of service that the site offers")
    started: datetime
    ended: datetime
    tool: str = Field(description="Version of the kit that collected")
    permissions: dict[str, str] = {}
    expected: dict[str, tuple[str, ...]] = {}
    facts: tuple[Fact, ...] = ()

    def frozen(self) -> Facts:
        """The same facts as a bundle keeps them: a rule replayed on these reads what it read before."""
        return Facts.model_validate_json(self.model_dump_json())

    def of(self, name: str) -> dict[str, Fact]:
        """The readings of a fact by subject."""
        return {fact.subject: fact for fact in self.facts if fact.name == name}


class Finding(_Record):
    """One subject that is not as it must be."""

    subject: str
    expected: str
    found: str


class Judgement(_Record):
    """One control on the site. ``read`` counts the subjects that were judged; none means not evaluated.

    ``asked`` is false where this kind of audit does not read what the control takes.
    """

    control: str
    status: Status
    read: int = 0
    asked: bool = True
    findings: tuple[Finding, ...] = ()
    reason: str | None = None


class Verdict(_Record):
    """One requirement on the site, from its controls, evidence and waivers."""

    requirement: str
    status: Status
    reason: str
    controls: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


class Audit(_Record):
    """The result of one run: what is signed, kept and shown. Every output holds the numbers of this."""

    site: str
    kind: Literal["static", "live"]
    moment: datetime
    tool: str
    limits: tuple[str, ...] = Field((), description="What this run cannot say, in French")
    faults: tuple[str, ...] = Field((), description="What is wrong with waivers and evidence, in French")
    judgements: tuple[Judgement, ...]
    verdicts: tuple[Verdict, ...]
