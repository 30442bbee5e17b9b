"""What the site's files say of its network: who may call what, zones, shared addresses, segments."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from socle import catalogue
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.site import Site
from socle.site.flows import ANYWHERE, flows
from socle.site.segments import Ipsec


def _read(site: Site) -> Iterator[Fact]:
    yield Fact(name="network.flows", subject=site.name, value=list(_flows(site)))
    yield Fact(name="network.plan", subject=site.name, value=_plan(site))
    yield Fact(name="network.segments", subject=site.name, value=list(_segments(site)))


def _flows(site: Site) -> Iterator[dict[str, Any]]:
    zones = {name: zone.prefix for name, zone in site.settings.zones.items()}
    deployers = {f"{address}/32" for address in site.settings.deployers}
    for flow in flows(site, catalogue.load()):
        if flow.zone == "outside":
            inside = False
        else:
            sources = [ip_network(source) for source in flow.sources if source not in deployers]
            inside = all(any(_within(source, prefix) for prefix in zones.values()) for source in sources)
        yield {
            "name": flow.name,
            "zone": flow.zone,
            "protocol": flow.protocol,
            "ports": flow.ports,
            "anybody": ANYWHERE in flow.sources,
            "from_deployers": bool(deployers & set(flow.sources)),
            "deployers_only": set(flow.sources) <= deployers,
            "sources_inside": inside,
            "destinations": list(flow.destinations) if flow.zone == "outside" else [],
            "tls": flow.tls,
        }


def _within(one: Any, other: Any) -> bool:
    return bool(one.version == other.version and one.subnet_of(other))


def _plan(site: Site) -> dict[str, Any]:
    settings, endpoints = site.settings, site.endpoints
    zones = {str(name): zone.prefix for name, zone in sorted(settings.zones.items())}

    def zone_of(address: Any) -> str | None:
        return next((name for name, prefix in zones.items() if address in prefix), None)

    return {
        "internal": {"name": endpoints.internal.name, "zone": zone_of(endpoints.internal.address)},
        "public": {"name": endpoints.public.name, "zone": zone_of(endpoints.public.address)},
        "zones": [
            {"name": name, "prefix": str(prefix), "apart": _apart(name, zones)}
            for name, prefix in zones.items()
        ],
        "deployers": [{"name": str(one), "zone": zone_of(one)} for one in settings.deployers],
        "hosts": [
            {"name": f"{host.name} {zone}", "declared": zone, "zone": zone_of(address)}
            for host in site.hosts.values()
            for zone, address in sorted(host.addresses.items())
        ],
    }


def _apart(name: str, zones: dict[str, Any]) -> bool:
    return not any(
        zones[name].version == other.version and zones[name].overlaps(other)
        for key, other in zones.items()
        if key != name
    )


def _segments(site: Site) -> Iterator[dict[str, Any]]:
    for segment in site.segments.segments:
        layers = segment.layers
        tunnels: list[Ipsec | None] = [one for one in layers if isinstance(one, Ipsec)]
        for layer in tunnels or [None]:
            yield {
                "name": segment.id,
                "scope": segment.scope,
                "layers": sorted(one.type for one in layers),
                "optical": segment.optical is not None,
                "on_failure": segment.on_failure,
                "ipsec": None
                if layer is None
                else {
                    "ike": layer.ike,
                    "esp": layer.esp,
                    "ike_rekey_s": layer.ike_rekey_s,
                    "child_life_s": layer.child_life_s,
                    "auth": layer.auth,
                    "ppk_required": bool(layer.ppk and layer.ppk.required),
                },
            }


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="network plan",
        kinds=frozenset({"static", "live"}),
        facts=(
            FactKind(
                "network.flows", of_site, "Matrice des flux : qui peut appeler quoi, et sous quel chiffrement"
            ),
            FactKind("network.plan", of_site, "Zones, adresses partagées, machines de déploiement"),
            FactKind("network.segments", of_site, "Segments chiffrés d’après segments.yml"),
        ),
        read=_read,
        permission="les fichiers du site, tels que validés",
    ),
)
