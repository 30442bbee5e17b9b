"""The flow matrix: who may open a connection to what, from the service catalogue and the site's addresses.

The firewall of every node, the expected picture of a port scan and the auditor's matrix are all made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from socle.catalogue import Catalogue, Component
from socle.catalogue.model import Listener, Zone
from socle.site.hosts import Host
from socle.site.model import Site

ANYWHERE = "0.0.0.0/0"
TUNNELS = "overlay"
"""Zone of the guests' traffic between nodes: one flow carries many connections of others."""
VRRP_GROUPS = ("224.0.0.18/32", "224.0.0.22/32")
"""VRRP's advertisements and the membership of its group (RFC 5798, RFC 3376)."""
DNS, NTP, HTTP, HTTPS = 53, 123, 80, 443


@dataclass(frozen=True, order=True)
class Flow:
    """One kind of connection. Addresses are CIDR prefixes; answers go back by themselves."""

    name: str
    """``<component>.<listener>``, ``<component>.<listener>@<zone>`` for HAProxy's front ends."""
    zone: str
    """Zone in which the connection is opened."""
    protocol: str
    """``tcp``, ``udp``, or the name of an IP protocol without ports."""
    first_port: int
    last_port: int
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    tls: str
    """``none``, ``server``, ``mutual``, or ``own`` for a protocol that encrypts by itself."""

    @property
    def ports(self) -> str:
        """As nftables writes it: ``22`` or ``5900-5999``; empty without ports."""
        if not self.first_port:
            return ""
        return (
            str(self.first_port)
            if self.first_port == self.last_port
            else f"{self.first_port}-{self.last_port}"
        )


def flows(site: Site, catalogue: Catalogue) -> tuple[Flow, ...]:
    """All flows of a site, sorted. A flow without a source or a destination is none."""
    found = [
        *_listeners(site, catalogue),
        *_fronts(site, catalogue),
        *_shared_addresses(site),
        *_outside(site),
    ]
    return tuple(sorted(flow for flow in found if flow.sources and flow.destinations))


def node_rules(site: Site, matrix: Iterable[Flow], host: Host) -> dict[str, list[dict[str, Any]]]:
    """What the firewall of one host lets in and out, as plain data for its template.

    Args:
        matrix: all flows of the site.

    Returns:
        ``in`` and ``out``: name, protocol, ports, the interface (empty: any), whether connections are
        ``tracked``, and ``addresses`` of the other side. ``in`` has ``to`` as well: the addresses of the
        host, or the shared ones, that are meant. What a host says to itself needs no rule.
    """
    own = {f"{address}/32" for address in host.addresses.values()}
    shared = _shared_of(site) if "controllers" in host.groups else {}
    mine = own | set(shared) | set(VRRP_GROUPS if shared else ())
    rules: dict[str, list[dict[str, Any]]] = {"in": [], "out": []}
    for flow in matrix:
        here = [d for d in flow.destinations if d in mine]
        callers = [source for source in flow.sources if source not in own]
        if here and callers and flow.zone in host.interfaces:
            rules["in"].append({**_rule(flow, host), "addresses": callers, "to": here})
        there = [d for d in flow.destinations if d not in own]
        if there and own & set(flow.sources):
            rules["out"].append({**_rule(flow, host), "addresses": there})
    return rules


def _rule(flow: Flow, host: Host) -> dict[str, Any]:
    # A place outside is reached by whatever way the routes say; tunnels end in the virtual switch.
    interfaces: Mapping[str, str] = {zone: name for zone, name in host.interfaces.items() if zone != TUNNELS}
    return {
        "name": flow.name,
        "protocol": flow.protocol,
        "ports": flow.ports,
        "interface": interfaces.get(flow.zone, ""),
        "tracked": flow.zone != TUNNELS,
    }


def _listeners(site: Site, catalogue: Catalogue) -> Iterator[Flow]:
    for component, entry in catalogue.components.items():
        hosts = [host for host in site.hosts.values() if _runs(entry, host)]
        for name, listener in entry.listeners.items():
            sources = [
                source for caller in listener.callers for source in _addresses(site, caller, listener.zone)
            ]
            yield Flow(
                f"{component}.{name}",
                listener.zone,
                _transport(listener),
                listener.port,
                listener.last_port or listener.port,
                _sorted(sources),
                _sorted(_of_hosts(hosts, listener.zone)),
                listener.tls,
            )


def _fronts(site: Site, catalogue: Catalogue) -> Iterator[Flow]:
    """What HAProxy publishes: inside for the hosts that the front end names, outside for everybody."""
    places = {"admin": site.endpoints.internal.address, "api": site.endpoints.public.address}
    for component, entry in catalogue.components.items():
        for name, listener in entry.listeners.items():
            if not listener.front:
                continue
            for zone in listener.front.zones:
                callers = [a for caller in listener.front.callers for a in _addresses(site, caller, zone)]
                yield Flow(
                    f"{component}.{name}@{zone}",
                    zone,
                    "tcp",
                    listener.front_port,
                    listener.front_port,
                    (ANYWHERE,) if zone == "api" else _sorted(callers),
                    (f"{places[zone]}/32",),
                    "server" if listener.front.tls else listener.tls,
                )


def _shared_addresses(site: Site) -> Iterator[Flow]:
    """Controllers agree by VRRP who holds the shared addresses; alone, one speaks to the group only."""
    controllers = _sorted(_of_group(site, "controllers", "admin"))
    there = controllers if len(controllers) > 1 else VRRP_GROUPS
    yield Flow("haproxy.vrrp", "admin", "vrrp", 0, 0, controllers, there, "none")
    if len(controllers) == 1:
        yield Flow("haproxy.membership", "admin", "igmp", 0, 0, controllers, there, "none")


def _outside(site: Site) -> Iterator[Flow]:
    """What the site file names beyond its own hosts: name servers, time, the package mirror."""
    settings = site.settings
    hosts = _sorted(_of_hosts(site.hosts.values(), "admin"))
    names = _sorted(f"{address}/32" for address in settings.dns)
    for protocol in ("udp", "tcp"):
        yield Flow(f"outside.dns_{protocol}", "outside", protocol, DNS, DNS, hosts, names, "none")
    clocks = _sorted(f"{address}/32" for address in settings.ntp)
    yield Flow("outside.ntp", "outside", "udp", NTP, NTP, hosts, clocks, "none")
    port = HTTPS if str(settings.mirror.url).startswith("https:") else HTTP
    mirrors = _sorted(str(prefix) for prefix in settings.mirror.addresses)
    tls = "server" if port == HTTPS else "none"
    yield Flow("outside.mirror", "outside", "tcp", port, port, hosts, mirrors, tls)


def _runs(entry: Component, host: Host) -> bool:
    return bool({*host.groups, "all"} & set(entry.runs_on))


def _transport(listener: Listener) -> str:
    return "udp" if listener.protocol == "udp" else "tcp"


def _addresses(site: Site, caller: str, zone: Zone) -> list[str]:
    if caller == "deployer":
        return [f"{address}/32" for address in site.settings.deployers]
    if caller == "zone":
        return [str(site.settings.zones[zone].prefix)]
    return _of_group(site, "controllers" if caller == "haproxy" else caller, zone)


def _of_group(site: Site, group: str, zone: str) -> list[str]:
    return _of_hosts((h for h in site.hosts.values() if group in {*h.groups, "all"}), zone)


def _of_hosts(hosts: Iterable[Host], zone: str) -> list[str]:
    return [f"{host.addresses[zone]}/32" for host in hosts if zone in host.addresses]


def _shared_of(site: Site) -> dict[str, str]:
    endpoints = site.endpoints
    return {f"{endpoints.internal.address}/32": "admin", f"{endpoints.public.address}/32": "api"}


def _sorted(prefixes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(prefixes)))
