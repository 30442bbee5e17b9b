"""Zones, shared addresses and the pools."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from socle.site.document import Fault
from socle.site.fields import Address, Network
from socle.site.hosts import HostsFile
from socle.site.parts import Part
from socle.site.settings import Settings
from socle.site.tenant import PLACES

REQUIRED_ZONES = ("admin", "api", "storage", "overlay", "provider")


def zones_are_there(settings: Part[Settings]) -> Iterator[Fault]:
    """The roles need five zones; ``oob`` is the site's choice."""
    for zone in REQUIRED_ZONES:
        if zone not in settings.value.zones:
            yield settings.fault(
                "zones",
                what=f"`zones` has no `{zone}`",
                expected=f"the zones {', '.join(REQUIRED_ZONES)}",
                write=f"write for example `{zone}: {{prefix: 192.0.2.0/24}}`",
            )


def prefixes_are_disjoint(settings: Part[Settings]) -> Iterator[Fault]:
    """No zone overlaps another one or the tenants' pool."""
    named: list[tuple[tuple[str, ...], Network]] = [
        (("zones", zone), entry.prefix) for zone, entry in settings.value.zones.items()
    ]
    named.append((("tenant_pool",), settings.value.tenant_pool))
    for (one, first), (other, second) in combinations(named, 2):
        if first.version == second.version and first.overlaps(second):
            line = settings.document.line(one)
            yield settings.fault(
                *other,
                what=f"{second} of `{other[-1]}` overlaps {first} of `{one[-1]}` (line {line})",
                expected="prefixes that share no address",
                write=f"give `{other[-1]}` another prefix",
            )


def gateways_and_pools_fit(settings: Part[Settings]) -> Iterator[Fault]:
    """Gateways and the floating pool are inside their zone, and the pool is the provider zone's."""
    for zone, entry in settings.value.zones.items():
        if entry.gateway and entry.gateway not in entry.prefix:
            yield outside(settings, ("zones", zone, "gateway"), entry.gateway, entry.prefix)
        if not entry.pool:
            continue
        for end in ("first", "last"):
            address = getattr(entry.pool, end)
            if address not in entry.prefix:
                yield outside(settings, ("zones", zone, "pool", end), address, entry.prefix)
        if zone != "provider":
            yield settings.fault(
                "zones",
                zone,
                "pool",
                what=f"a pool of floating addresses in the zone `{zone}`",
                expected="a pool in the provider zone only",
                write="move it to `provider`",
            )


def provider_zone_is_usable(settings: Part[Settings]) -> Iterator[Fault]:
    """Floating addresses need a pool, in order, and a gateway that is not one of them."""
    provider = settings.value.zones.get("provider")
    if provider is None:
        return
    for key in ("gateway", "pool"):
        if getattr(provider, key) is None:
            yield settings.fault(
                "zones",
                "provider",
                what=f"the provider zone has no `{key}`",
                expected="`gateway` and `pool`, for floating addresses",
                write=f"write `{key}`",
            )
    if provider.pool and int(provider.pool.first) > int(provider.pool.last):
        yield settings.fault(
            "zones",
            "provider",
            "pool",
            what=f"the pool ends at {provider.pool.last} before it starts at {provider.pool.first}",
            expected="first ≤ last",
            write="swap them",
        )
    elif (
        provider.pool
        and provider.gateway
        and _within(provider.gateway, provider.pool.first, provider.pool.last)
    ):
        yield settings.fault(
            "zones",
            "provider",
            "gateway",
            what=f"the gateway {provider.gateway} is inside the pool of floating addresses",
            expected="a gateway outside the pool",
            write="shorten the pool",
        )


def endpoints_are_in_their_zone(settings: Part[Settings]) -> Iterator[Fault]:
    """The internal address is in the admin zone, the public one in the api zone."""
    for name, zone in (("internal", "admin"), ("public", "api")):
        entry = settings.value.zones.get(zone)  # type: ignore[call-overload]
        endpoint = getattr(settings.value.endpoints, name)
        if entry and endpoint.address not in entry.prefix:
            yield outside(settings, ("endpoints", name, "address"), endpoint.address, entry.prefix)


def endpoint_names_differ(settings: Part[Settings]) -> Iterator[Fault]:
    """One name cannot lead to two addresses."""
    ends = settings.value.endpoints
    if ends.internal.name == ends.public.name:
        yield settings.fault(
            "endpoints",
            "public",
            "name",
            what=f"both endpoints are named {ends.public.name}",
            expected="two names",
            write="rename one",
        )


def servers_are_not_nodes(settings: Part[Settings], hosts: Part[HostsFile]) -> Iterator[Fault]:
    """No node of the kit serves names or time: its firewall would refuse the others."""
    nodes = {
        address: name for name, host in hosts.value.all.hosts.items() for address in host.addresses.values()
    }
    for key in ("dns", "ntp"):
        for index, address in enumerate(getattr(settings.value, key)):
            if address in nodes:
                yield settings.fault(
                    key,
                    index,
                    what=f"{address} of `{key}` is the node `{nodes[address]}`",
                    expected="a server beside the nodes: they answer to no such request",
                    write="write the address of a server, or delete it",
                )


def deployers_are_not_nodes(settings: Part[Settings], hosts: Part[HostsFile]) -> Iterator[Fault]:
    """The firewall of every node lets deployers in: a node among them would open all others to itself."""
    nodes = {
        address: name for name, host in hosts.value.all.hosts.items() for address in host.addresses.values()
    }
    for index, address in enumerate(settings.value.deployers):
        if address in nodes:
            yield settings.fault(
                "deployers",
                index,
                what=f"{address} of `deployers` is the node `{nodes[address]}`",
                expected="the address of the machine that deploys, which is no node",
                write="write that address, or delete it",
            )


def openbao_has_its_name(settings: Part[Settings]) -> Iterator[Fault]:
    """OpenBao's name leads to the vault nodes, those of the endpoints to the controllers."""
    ends = settings.value.endpoints
    for key, end in (("internal", ends.internal), ("public", ends.public)):
        if settings.value.openbao.name == end.name:
            yield settings.fault(
                "openbao",
                "name",
                what=f"OpenBao is named {end.name}, as the endpoint `{key}`",
                expected="a name of its own, which resolves to every vault node",
                write=f"write for example `name: openbao.{settings.value.domain}`",
            )


def mirror_can_be_reached(settings: Part[Settings]) -> Iterator[Fault]:
    """Where nodes have a way out, their firewall must know where the packages come from."""
    admin = settings.value.zones.get("admin")
    if admin and admin.gateway and not settings.value.mirror.addresses:
        yield settings.fault(
            "mirror",
            what="`mirror` has no `addresses`",
            expected="the addresses of the mirror: the firewall of the nodes lets them call no other",
            write="write for example `addresses: [192.0.2.60/32]`",
        )


def destinations_are_no_other_place(settings: Part[Settings]) -> Iterator[Fault]:
    """A tenant's rule names a destination: it means nothing else."""
    for name in settings.value.destinations:
        if name in PLACES:
            yield settings.fault(
                "destinations",
                name,
                what=f"the destination `{name}` has the name of {PLACES[name]}",
                expected="a name that rules take for the destination alone",
                write="rename the destination",
            )


def outside(part: Part[Settings], loc: tuple[str, ...], address: Address, prefix: Network) -> Fault:
    """The fault of an address that is not in its zone."""
    return part.fault(
        *loc,
        what=f"{address} is outside {prefix}",
        expected=f"an address of {prefix}",
        write=f"write an address of {prefix}",
    )


def _within(address: Address, first: Address, last: Address) -> bool:
    return int(first) <= int(address) <= int(last)


CHECKS = (
    zones_are_there,
    prefixes_are_disjoint,
    gateways_and_pools_fit,
    provider_zone_is_usable,
    endpoints_are_in_their_zone,
    endpoint_names_differ,
    servers_are_not_nodes,
    deployers_are_not_nodes,
    openbao_has_its_name,
    mirror_can_be_reached,
    destinations_are_no_other_place,
)
