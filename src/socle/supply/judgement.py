"""Known vulnerabilities of what a bill names, against what is said of them: pure functions of data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from socle.supply.bom import Component
from socle.supply.osv import Packaged, Record, packaged
from socle.supply.statements import Placed
from socle.supply.versions import affected, within

Kind = Literal["unstated", "stale", "expired", "update", "unreadable", "unproved"]


@dataclass(frozen=True)
class Finding:
    """One thing that somebody has to do.

    ``kind``: ``unstated``, a vulnerability of which nothing is said; ``stale``, a statement about a version
    that is no longer there or that is not affected; ``expired``, one that was accepted until a day that is
    past; ``update``, a package whose fix is published; ``unreadable``, a version that cannot be compared;
    ``unproved``, a statement that stands on something that is not there.
    """

    kind: Kind
    component: str
    version: str
    id: str
    what: str


@dataclass(frozen=True)
class Known:
    """A known vulnerability of a component. ``statement`` is none where a fix is not published or stated."""

    component: Component
    id: str
    statement: Placed | None
    fixed: str | None = None


@dataclass(frozen=True)
class Judged:
    """What is known of a bill, and what has to be done about it."""

    known: tuple[Known, ...]
    findings: tuple[Finding, ...]


def judge(
    components: Iterable[Component], records: Iterable[Record], statements: Iterable[Placed], today: date
) -> Judged:
    """Compare the components of a bill with the records of a database and with what is stated."""
    parts = [part for component in components if (part := packaged(component)) is not None]
    placed, told = list(statements), list(records)
    by_package: dict[tuple[str, str], list[Record]] = {}
    for record in told:
        by_package.setdefault((record.ecosystem, record.package), []).append(record)
    known: dict[tuple[str, str], Known] = {}
    findings: list[Finding] = []
    for part in parts:
        for one in placed:
            if _about(one, part):
                known[part.component.reference, one.statement.id] = Known(
                    part.component, one.statement.id, one
                )
        for record in by_package.get((part.ecosystem, part.name), ()):
            _told(part, record, placed, known, findings)
    findings += [*_stale(parts, by_package, placed), *_expired(placed, today)]
    return Judged(tuple(known.values()), tuple(dict.fromkeys(findings)))


def with_proofs(judged: Judged, missing: Iterable[tuple[Placed, str]]) -> Judged:
    """The same, with what statements stand on and what is not as they say."""
    found = [
        Finding("unproved", one.about.component, one.about.version, one.statement.id, f"{one.where}: {what}")
        for one, what in missing
    ]
    return Judged(judged.known, (*judged.findings, *found))


def _told(
    part: Packaged,
    record: Record,
    placed: list[Placed],
    known: dict[tuple[str, str], Known],
    findings: list[Finding],
) -> None:
    try:
        if not affected(part.ecosystem, part.version, record.told):
            return
    except ValueError as error:
        what = f"{record.id} cannot be compared: {error}"
        findings.append(Finding("unreadable", part.name, part.version, record.id, what))
        return
    if any(_about(one, part) and one.statement.names & record.names for one in placed):
        return
    fixed = _fixed(record)
    known[part.component.reference, record.id] = Known(part.component, record.id, None, fixed)
    debian = part.ecosystem.startswith("Debian:")
    if debian and fixed:
        findings.append(Finding("update", part.name, part.version, record.id, f"fixed in {fixed}: update it"))
    elif not debian:
        names = ", ".join(sorted(record.names))
        what = f"{names}: nothing is said of it{f', fixed in {fixed}' if fixed else ''}"
        findings.append(Finding("unstated", part.name, part.version, record.id, what))


def _about(one: Placed, part: Packaged) -> bool:
    about = one.about
    return (about.ecosystem, about.component, about.version) == (part.ecosystem, part.name, part.version)


def _fixed(record: Record) -> str | None:
    found = [
        event["fixed"]
        for reach in record.told.get("ranges", ())
        for event in reach["events"]
        if "fixed" in event
    ]
    return found[-1] if found else None


def _stale(
    parts: list[Packaged], by_package: dict[tuple[str, str], list[Record]], placed: list[Placed]
) -> Iterator[Finding]:
    present = {(part.ecosystem, part.name, part.version) for part in parts}
    for one in placed:
        about, statement = one.about, one.statement
        name = (about.component, about.version, statement.id)
        if (about.ecosystem, about.component, about.version) not in present:
            yield Finding("stale", *name, f"{one.where}: this version is not in the bill: judge it again")
        elif not within(about.ecosystem, about.published, statement.affected.events()):
            yield Finding("stale", *name, f"{one.where}: {about.published} is not affected: delete it")
        elif _is_cleared(one, by_package.get((about.ecosystem, about.component), [])):
            yield Finding("stale", *name, f"{one.where}: the database says that it is not affected")


def _is_cleared(one: Placed, told: list[Record]) -> bool:
    """Whether a database knows the vulnerability, and its ranges leave this version out."""
    about = [record for record in told if record.names & one.statement.names]
    return bool(about) and not any(_reaches(one, record) for record in about)


def _reaches(one: Placed, record: Record) -> bool:
    try:
        return affected(one.about.ecosystem, one.about.version, record.told)
    except ValueError:
        return True  # found as unreadable


def _expired(placed: list[Placed], today: date) -> Iterator[Finding]:
    for one in placed:
        end = one.statement.accepted_until
        if end is not None and end < today:
            name = (one.about.component, one.about.version, one.statement.id)
            yield Finding("expired", *name, f"{one.where}: accepted until {end}: judge it again")
