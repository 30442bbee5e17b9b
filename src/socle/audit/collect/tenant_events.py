"""The events that a tenant would get if it asked for them now: extracted and counted on their store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from socle.audit.collect.cloud import auditor
from socle.audit.collect.collector import Collector, FactKind
from socle.audit.collect.session import ASKED, read_hosts
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.logs import asking
from socle.site import Host, Site
from stacks.tenant.plan import domain_name, unserved

EVENTS: Final = "logs.tenant_events"
HOURS: Final = 24


def _served(site: Site) -> list[str]:
    """The tenants that OpenStack serves, by SIREN."""
    return [siren for siren in sorted(site.tenants) if unserved(site, siren) is None]


def of_tenants(site: Site) -> tuple[str, ...]:
    """The domains of the tenants that OpenStack serves."""
    return tuple(domain_name(siren) for siren in _served(site))


def _asked(site: Site, host: Host) -> dict[str, Any]:
    """What a store must know to count: the identifiers of each tenant, or why Keystone does not give them."""
    if host not in asking.stores(site):
        return {}
    try:
        ids = asking.tenant_ids(auditor(site), _served(site))
    except SocleError as error:
        return {"problem": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever Keystone's client meets, the host's other answers stay
        return {"problem": f"Keystone ne dit pas les identifiants des clients ({type(error).__name__})"}
    until = datetime.now(UTC)
    begin = until - timedelta(hours=HOURS)
    of_domains = {domain_name(siren): sorted(own) for siren, own in ids.items()}
    return {"tenants": of_domains, "begin": begin.timestamp(), "end": until.timestamp()}


ASKED["tenant_events"] = _asked


def _read(site: Site) -> Iterator[Fact]:
    answers = read_hosts(site)
    stores = [host.name for host in asking.stores(site)]
    for domain in of_tenants(site):
        shape = partial(_of_tenant, domain)
        parts = [answers[name].fact(EVENTS, domain, "tenant_events", shape) for name in stores]
        yield next((part for part in parts if part.problem), None) or _together(domain, parts)


def _of_tenant(domain: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"events": int(said[domain]["events"]), "others": list(said[domain]["others"])}


def _together(domain: str, parts: list[Fact]) -> Fact:
    """What all stores told of one tenant."""
    events = sum(part.value["events"] for part in parts if part.value)
    if not events:
        return Fact(
            name=EVENTS, subject=domain, problem=f"aucun événement de ce client depuis {HOURS} heures"
        )
    others = sorted({other for part in parts if part.value for other in part.value["others"]})
    return Fact(name=EVENTS, subject=domain, value={"hours": HOURS, "events": events, "others": others})


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="tenant events",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(EVENTS, of_tenants, "Les événements qu’un client aurait s’il les demandait, comptés"),
        ),
        read=_read,
        permission="compte auditor du nuage, et la session d’audit du collecteur de journaux",
    ),
)
