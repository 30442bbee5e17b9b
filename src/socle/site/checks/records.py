"""Records: people, tenants, suppliers and incidents that they name exist, and time runs forward."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from socle.site.document import Fault
from socle.site.messages import suggestion
from socle.site.parts import Part
from socle.site.people import People
from socle.site.registry import Registry
from socle.site.suppliers import Suppliers

type Records = dict[str, Part[BaseModel]]

PEOPLE = ("by", "approved_by", "owner")
AHEAD = timedelta(hours=14)
"""By how much the day may be further than in UTC, where somebody is."""
ORDERED = (("opened", "closed"), ("opened", "notified"), ("starts", "ends"), ("start", "end"))


def people_are_known(records: Records, people: Part[People]) -> Iterator[Fault]:
    """Who answers for a record works for the site, or did."""
    known = [*people.value.people, *people.value.leavers]
    yield from _unknown(records, PEOPLE, known, "a login of people.yml")


def tenants_are_known(
    records: Records, tenant_files: frozenset[str], registry: Part[Registry]
) -> Iterator[Fault]:
    """A tenant of a record has a file, or had one."""
    known = sorted(tenant_files | registry.value.tenants.keys())
    yield from _unknown(records, ("tenant", "tenants"), known, "the SIREN of a tenant")


def suppliers_are_known(records: Records, suppliers: Part[Suppliers]) -> Iterator[Fault]:
    """Who got a medium is a supplier of the site."""
    yield from _unknown(
        records, ("given_to",), list(suppliers.value.suppliers), "a supplier of suppliers.yml"
    )


def incidents_are_known(records: Records) -> Iterator[Fault]:
    """A notice of an incident names one of the register."""
    register = records.get("incidents")
    known = list(getattr(register.value, "incidents", {})) if register else []
    yield from _unknown(records, ("incident",), known, "an id of incidents.yml")


def time_runs_forward(records: Records) -> Iterator[Fault]:
    """Nothing ends before it begins."""
    for register, name, entry in _entries(records):
        for first, second in ORDERED:
            begin, end = getattr(entry, first, None), getattr(entry, second, None)
            if begin and end and end < begin:
                yield records[register].fault(
                    register,
                    name,
                    second,
                    what=f"`{second}` of `{name}` is before `{first}`",
                    expected=f"a moment after {begin.isoformat()}",
                    write="correct one of the two",
                )


def screenings_are_done(people: Part[People]) -> Iterator[Fault]:
    """A person has a role once they are screened: a screening of another day is none."""
    today = (datetime.now(UTC) + AHEAD).date()
    for login, person in people.value.people.items():
        if person.screening and person.screening.date > today:
            yield people.fault(
                "people",
                login,
                "screening",
                "date",
                what=f"`{login}` is screened in the future",
                expected="the day of the screening",
                write="correct the date, or delete `screening` until it is done",
            )


def nobody_approves_themselves(records: Records) -> Iterator[Fault]:
    """A review and a change need two people."""
    for register, name, entry in _entries(records):
        approver = getattr(entry, "approved_by", None)
        if approver and approver == getattr(entry, "by", None):
            yield records[register].fault(
                register,
                name,
                "approved_by",
                what=f"`{approver}` approves their own work",
                expected="another person than `by`",
                write="name the person who approved it",
            )


def _entries(records: Records) -> Iterator[tuple[str, str, Any]]:
    for register, part in records.items():
        for name, entry in getattr(part.value, register).items():
            yield register, name, entry


def _unknown(records: Records, keys: Iterable[str], known: list[str], expected: str) -> Iterator[Fault]:
    for register, name, entry in _entries(records):
        for key in keys:
            value = getattr(entry, key, None)
            for item in value if isinstance(value, tuple) else (value,) if value else ():
                if item not in known:
                    yield records[register].fault(
                        register,
                        name,
                        key,
                        what=f"`{name}` names `{item}`, which is not known",
                        expected=expected,
                        write=suggestion(item, known) or "correct the name",
                    )


CHECKS = (
    people_are_known,
    tenants_are_known,
    suppliers_are_known,
    incidents_are_known,
    time_runs_forward,
    screenings_are_done,
    nobody_approves_themselves,
)
