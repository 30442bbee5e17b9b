"""Which zones meet other networks, and which component of the catalogue watches each of these places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from socle import catalogue
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.site import Site

PROBES: Final = ("suricata", "zeek")
"""Names that a detection probe would have in the service catalogue."""
CROSSINGS: Final = {"api": "controllers", "provider": "gateways"}
"""Zones in which others come in, and the hosts by which they do."""


def _read(site: Site) -> Iterator[Fact]:
    components = catalogue.load().components
    found = []
    for zone, group in CROSSINGS.items():
        if any(str(name) == zone for name in site.settings.zones):
            for host in site.group(group):  # type: ignore[arg-type]
                known = catalogue.load().of_groups(host.groups)
                probe = next((name for name in PROBES if name in components and name in known), None)
                found.append({"name": f"{zone} {host.name}", "probe": probe})
    yield Fact(name="network.crossings", subject=site.name, value=found)


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="crossings",
        kinds=frozenset({"static", "live"}),
        facts=(
            FactKind(
                "network.crossings", of_site, "Interconnexions du site, et la sonde qui surveille chacune"
            ),
        ),
        read=_read,
        permission="les fichiers du site et le catalogue des services",
    ),
)
