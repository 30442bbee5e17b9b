"""What is said of each known vulnerability in what the kit pins: one statement each, in `vulnerabilities/`.

The words for state, justification and response are those of CycloneDX 1.6 (`analysis` of a vulnerability).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from socle.paths import project_root
from socle.site.document import Document, Fault, Loc, SiteErrors, read
from socle.site.fields import Day, Entry, Slug, Text, Url
from socle.site.messages import faults_of
from socle.supply.versions import within

Id = Annotated[
    str,
    Field(
        pattern=r"^(CVE-[0-9]{4}-[0-9]{4,}|GHSA(-[23456789cfghjmpqrvwx]{4}){3}|(GO|PYSEC|DSA|TEMP)-[0-9A-Z-]+)$",
        examples=["CVE-2025-59043"],
    ),
]
TestName = Annotated[
    str,
    Field(
        pattern=r"^tests/[a-z_/]+\.py::[A-Za-z_]+$", examples=["tests/unit/test_openbao_limits.py::test_name"]
    ),
]
State = Literal["exploitable", "in_triage", "not_affected"]
Justification = Literal[
    "code_not_present",
    "code_not_reachable",
    "requires_configuration",
    "requires_dependency",
    "requires_environment",
    "protected_by_compiler",
    "protected_at_runtime",
    "protected_at_perimeter",
    "protected_by_mitigating_control",
]
CLOSED_BY_US = {
    "requires_configuration",
    "protected_at_runtime",
    "protected_at_perimeter",
    "protected_by_mitigating_control",
}
"""Justifications that stand on something that the kit sets: a test must show it."""


class Range(Entry):
    """Releases of a component that have the vulnerability: from `introduced` on, before `fixed`."""

    introduced: Text = "0"
    fixed: Text | None = Field(None, description="First release without it; none as long as there is none")

    def events(self) -> list[dict[str, str]]:
        """As OSV writes it."""
        return [{"introduced": self.introduced}, *([{"fixed": self.fixed}] if self.fixed else [])]


class Closure(Entry):
    """What keeps a vulnerability from being used: where it is set, and the test that shows that it holds."""

    setting: Text = Field(examples=["max_request_size of the listener"])
    file: Text = Field(examples=["roles/openbao/templates/etc/openbao/openbao.hcl.j2"])
    test: TestName


class Statement(Entry):
    """One vulnerability in one component at its pinned version, judged for what the kit deploys."""

    id: Id
    aliases: tuple[Id, ...] = ()
    affected: Range
    severity: Literal["low", "medium", "high", "critical", "unknown"]
    summary: Text = Field(description="What the vulnerability is")
    reached_by: Text = Field(description="By which interface, and who; or why nobody reaches it")
    state: State
    justification: Justification | None = None
    closed_by: tuple[Slug, ...] = Field((), description="Names of `closures` of the file")
    absent: tuple[Text, ...] = Field(
        (), description="Go packages that are not in the binary, for `code_not_present`"
    )
    accepted_until: Day | None = Field(None, description="Last day on which it is accepted as it is")
    source: Url | None = Field(None, description="Where it was published, when no OSV record tells")

    @property
    def names(self) -> set[str]:
        """All names of the vulnerability."""
        return {self.id, *self.aliases}

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.state == "not_affected") != (self.justification is not None):
            raise _incomplete(f"{self.state} says nothing of why", "`justification` for not_affected alone")
        if (self.state == "not_affected") == (self.accepted_until is not None):
            raise _incomplete("no end", "`accepted_until` for what is exploitable or in triage alone")
        if self.justification in CLOSED_BY_US and not self.closed_by:
            raise _incomplete(f"{self.justification} without what protects", "`closed_by` with its test")
        if (self.justification == "code_not_present") != bool(self.absent):
            raise _incomplete("no packages", "`absent` for code_not_present alone")
        return self


def _incomplete(kind: str, expected: str) -> PydanticCustomError:
    context = {"kind": kind, "expected": expected, "example": "what the judgement stands on"}
    return PydanticCustomError("socle", "{kind}", context)


class Pinned(Entry):
    """A component at its pinned version, with all that is said of it."""

    component: Text = Field(examples=["github.com/openbao/openbao"])
    ecosystem: Literal["Go", "PyPI"]
    version: Text = Field(description="As in the bill of materials")
    release: Text | None = Field(None, description="The same as its publisher calls it, where that differs")
    statements: tuple[Statement, ...] = Field(min_length=1)

    @property
    def published(self) -> str:
        """The version in the words of advisories."""
        return self.release or self.version


class StatementsFile(Entry):
    """One file of `vulnerabilities/`."""

    closures: dict[Slug, Closure] = Field(default_factory=dict)
    components: tuple[Pinned, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Placed:
    """A statement with what it is about and where it stands."""

    statement: Statement
    about: Pinned
    closures: tuple[Closure, ...]
    where: str


def folder() -> Path:
    """Where the statements of the kit stand."""
    return Path(__file__).parent / "vulnerabilities"


def load(place: Path | None = None) -> list[Placed]:
    """Every statement of a folder.

    Raises:
        SiteErrors: everything that is wrong in its files.
    """
    found: list[Placed] = []
    faults: list[Fault] = []
    for path in sorted((place or folder()).glob("*.yml")):
        document = read(path)
        faults += document.faults
        if document.root is None:
            faults += [] if document.faults else [Fault(path, 1, "the file is empty", "`components`")]
            continue
        try:
            value = StatementsFile.model_validate(document.root)
        except ValidationError as error:
            faults += faults_of(document, StatementsFile, error)
            continue
        for loc, pinned, statement in _each(value):
            faults += [
                *_versions(document, loc, pinned, statement),
                *_unnamed(document, loc, value, statement),
            ]
            closures = tuple(value.closures[name] for name in statement.closed_by if name in value.closures)
            found.append(Placed(statement, pinned, closures, f"{path.name}:{document.line(loc)}"))
    faults += list(_twice(found, place or folder()))
    if faults:
        raise SiteErrors(faults)
    return found


def _each(value: StatementsFile) -> Iterator[tuple[Loc, Pinned, Statement]]:
    for one, pinned in enumerate(value.components):
        for two, statement in enumerate(pinned.statements):
            yield ("components", one, "statements", two), pinned, statement


def _unnamed(document: Document, loc: Loc, value: StatementsFile, statement: Statement) -> Iterator[Fault]:
    for number, name in enumerate(statement.closed_by):
        if name not in value.closures:
            known = ", ".join(value.closures) or "an entry of `closures`"
            yield document.fault((*loc, "closed_by", number), f"`{name}` is no closure of this file", known)


def _versions(document: Document, loc: Loc, pinned: Pinned, statement: Statement) -> Iterator[Fault]:
    try:
        within(pinned.ecosystem, pinned.published, statement.affected.events())
    except ValueError as error:
        expected = f"a version of {pinned.ecosystem}"
        yield document.fault((*loc, "affected"), f"cannot be compared: {error}", expected, "write 2.4.1")


def _twice(placed: list[Placed], place: Path) -> Iterator[Fault]:
    seen: dict[tuple[str, str, str], str] = {}
    for one in placed:
        for name in sorted(one.statement.names):
            key = (one.about.component, one.about.version, name)
            if key in seen:
                name_, line = one.where.rsplit(":", 1)
                what = f"{name} is judged twice for {one.about.component}"
                yield Fault(place / name_, int(line), what, f"one statement (the first is at {seen[key]})")
            seen.setdefault(key, one.where)


def unproved(placed: list[Placed], root: Path | None = None) -> Iterator[tuple[Placed, str]]:
    """Statements that name a file or a test that is not there, and what is missing."""
    root = root or project_root()
    for one in placed:
        for closure in one.closures:
            file, _, test = closure.test.partition("::")
            path = root / file
            text = path.read_text("utf-8") if path.is_file() else ""
            if not re.search(rf"^def {re.escape(test)}\(", text, re.MULTILINE):
                yield one, f"the test {closure.test} is not there"
            if not (root / closure.file).is_file():
                yield one, f"the file {closure.file} is not there"


def present(placed: list[Placed], binaries: Mapping[str, Path]) -> Iterator[tuple[Placed, str]]:
    """Statements that say that a package is absent from the binaries, and where it is all the same.

    A binary of Go names its functions even where its symbols are stripped.
    """
    for name, path in binaries.items():
        content = path.read_bytes()
        for one in placed:
            for package in one.statement.absent:
                if f"{package}.".encode() in content:
                    yield one, f"{package} is in {name}"
