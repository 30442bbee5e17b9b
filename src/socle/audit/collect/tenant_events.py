"""The events that a tenant would get if it asked for them now: the extraction is done and looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from socle.audit.collect.cloud import auditor
from socle.audit.collect.collector import Collector, FactKind
from socle.audit.model import Fact
from socle.logs import asking
from socle.site import Site
from stacks.tenant.plan import domain_name, unserved

EVENTS: Final = "logs.tenant_events"
HOURS: Final = 24


def of_tenants(site: Site) -> tuple[str, ...]:
    """The domains of the tenants that OpenStack serves."""
    return tuple(domain_name(siren) for siren in sorted(site.tenants) if unserved(site, siren) is None)


def _read(site: Site) -> Iterator[Fact]:
    from openstack.exceptions import SDKException  # noqa: PLC0415 - takes seconds to load

    sirens = {domain_name(siren): siren for siren in site.tenants}
    cloud = auditor(site)
    try:
        ids = {domain: asking.tenant_ids(cloud, sirens[domain]) for domain in of_tenants(site)}
    except SDKException as error:
        why = f"Keystone ne dit pas les identifiants des clients ({type(error).__name__})"
        yield from (Fact(name=EVENTS, subject=domain, problem=why) for domain in of_tenants(site))
        return
    until = datetime.now(UTC)
    for domain, own in ids.items():
        lines = list(asking.events(site, own, until - timedelta(hours=HOURS), until))
        if not lines:
            why = f"aucun événement de ce client depuis {HOURS} heures"
            yield Fact(name=EVENTS, subject=domain, problem=why)
            continue
        others = {name: theirs for name, theirs in ids.items() if name != domain}
        yield Fact(name=EVENTS, subject=domain, value=counted(lines, others))


def counted(lines: Iterable[str], others: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """How many events there are, and which other tenants any of them names by an identifier."""
    told = list(lines)
    named = {name for name, ids in others.items() if any(one in line for one in ids for line in told)}
    return {"hours": HOURS, "events": len(told), "others": sorted(named)}


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="tenant events",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(EVENTS, of_tenants, "Les événements qu’un client aurait s’il les demandait, comptés"),
        ),
        read=_read,
        permission="compte auditor du nuage, et le programme du collecteur de journaux, par sudo",
    ),
)
