"""Hosts, their groups and their addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from socle.site.document import Fault
from socle.site.fields import Address
from socle.site.hosts import Group, HostsFile
from socle.site.messages import suggestion
from socle.site.parts import Part
from socle.site.settings import Settings, ZoneSettings

IPV4 = 4
ZONES_OF_GROUP: dict[Group, tuple[str, ...]] = {
    "controllers": ("admin", "api", "storage"),
    "computes": ("admin", "storage", "overlay"),
    "gateways": ("admin", "overlay"),
    "storage": ("admin", "storage"),
    "vault": ("admin",),
}


def groups_have_members(hosts: Part[HostsFile]) -> Iterator[Fault]:
    """Every group of the catalogue has at least one host."""
    children = hosts.value.all.children
    for group in get_args(Group):
        if not (group in children and children[group].hosts):
            yield hosts.fault(
                "all",
                "children",
                group,
                what=f"no host is in the group `{group}`",
                expected="at least one host in each of " + ", ".join(get_args(Group)),
                write=f"write for example `{group}: {{hosts: {{node1: null}}}}`",
            )


def group_members_exist(hosts: Part[HostsFile]) -> Iterator[Fault]:
    """A group holds only hosts that are described under ``all: hosts``."""
    known = list(hosts.value.all.hosts)
    for group, entry in hosts.value.all.children.items():
        for name in entry.hosts:
            if name not in hosts.value.all.hosts:
                yield hosts.fault(
                    "all",
                    "children",
                    group,
                    "hosts",
                    name,
                    what=f"the group `{group}` holds `{name}`, which is no host",
                    expected="a host of `all: hosts`",
                    write=suggestion(name, known) or "describe it there, or delete it here",
                )


def hosts_are_in_a_group(hosts: Part[HostsFile]) -> Iterator[Fault]:
    """A host in no group would get nothing."""
    members = {name for entry in hosts.value.all.children.values() for name in entry.hosts}
    for name in hosts.value.all.hosts:
        if name not in members:
            yield hosts.fault(
                "all",
                "hosts",
                name,
                what=f"`{name}` is in no group",
                expected="at least one group",
                write=f"add `{name}: ` to one of {', '.join(get_args(Group))}",
            )


def quorums_are_odd(hosts: Part[HostsFile]) -> Iterator[Fault]:
    """Galera, RabbitMQ, OVN and OpenBao's raft decide by majority: an even number only adds what can fail."""
    for group in ("controllers", "vault"):
        entry = hosts.value.all.children.get(group)
        count = len(entry.hosts) if entry else 1
        if count and count % 2 == 0:
            yield hosts.fault(
                "all",
                "children",
                group,
                what=f"{count} hosts in `{group}`",
                expected="an odd number, for a majority",
                write=f"make it {count - 1} or {count + 1}",
            )


def hosts_have_their_zones(hosts: Part[HostsFile]) -> Iterator[Fault]:
    """Each group needs an address in some zones, and gateways an interface in the provider zone."""
    for group, entry in hosts.value.all.children.items():
        for name in entry.hosts:
            host = hosts.value.all.hosts.get(name)
            if host is None:
                continue
            missing = [zone for zone in ZONES_OF_GROUP[group] if zone not in host.addresses]
            if missing:
                yield hosts.fault(
                    "all",
                    "hosts",
                    name,
                    "addresses",
                    what=f"`{name}` has no address in {' and '.join(missing)}",
                    expected=f"one in each of {', '.join(ZONES_OF_GROUP[group])}, as a member of `{group}`",
                    write=f"write `{missing[0]}: …` in its addresses",
                )
            if group == "gateways" and not {"provider"} & {*host.interfaces, *host.addresses}:
                yield hosts.fault(
                    "all",
                    "hosts",
                    name,
                    what=f"the gateway `{name}` has no interface in the provider zone",
                    expected="`interfaces: {provider: …}`",
                    write="write for example `interfaces: {provider: provider}`",
                )


def addresses_are_in_their_zone(hosts: Part[HostsFile], settings: Part[Settings]) -> Iterator[Fault]:
    """An address is a host address of its zone's prefix, outside the floating pool."""
    for name, host in hosts.value.all.hosts.items():
        for zone, address in host.addresses.items():
            entry = settings.value.zones.get(zone)
            loc = ("all", "hosts", name, "addresses", zone)
            if entry is None:
                yield hosts.fault(
                    *loc,
                    what=f"`{name}` has an address in `{zone}`, which is no zone of the site",
                    expected=f"one of {', '.join(settings.value.zones)}",
                    write=f"describe `{zone}` in site.yml, or delete the line",
                )
            else:
                yield from _misplaced(hosts, loc, address, entry)


def _misplaced(
    hosts: Part[HostsFile], loc: tuple[str, ...], address: Address, zone: ZoneSettings
) -> Iterator[Fault]:
    prefix, host, zone_name = zone.prefix, loc[2], loc[-1]
    expected = f"a host address of {prefix}"
    if address not in prefix:
        yield hosts.fault(
            *loc,
            what=f"{address} of `{host}` is outside the zone `{zone_name}` ({prefix})",
            expected=expected,
            write=f"write an address of {prefix}",
        )
    elif prefix.version == IPV4 and address in (prefix.network_address, prefix.broadcast_address):
        yield hosts.fault(
            *loc,
            what=f"{address} of `{host}` is the network or broadcast address of {prefix}",
            expected=expected,
            write="write another address",
        )
    elif zone.pool and int(zone.pool.first) <= int(address) <= int(zone.pool.last):
        yield hosts.fault(
            *loc,
            what=f"{address} of `{host}` is inside the pool of floating addresses",
            expected=f"an address outside {zone.pool.first}-{zone.pool.last}",
            write="write another address",
        )


def addresses_are_unique(hosts: Part[HostsFile], settings: Part[Settings]) -> Iterator[Fault]:
    """No two hosts, shared addresses or gateways have the same address."""
    taken: dict[Address, str] = {}
    for name, end in (
        ("internal", settings.value.endpoints.internal),
        ("public", settings.value.endpoints.public),
    ):
        line = settings.document.line(("endpoints", name, "address"))
        taken.setdefault(end.address, f"the endpoint `{name}` (site.yml:{line})")
    for zone, entry in settings.value.zones.items():
        if entry.gateway:
            line = settings.document.line(("zones", zone, "gateway"))
            taken.setdefault(entry.gateway, f"the gateway of `{zone}` (site.yml:{line})")
    for name, host in hosts.value.all.hosts.items():
        for zone, address in host.addresses.items():
            loc = ("all", "hosts", name, "addresses", zone)
            if address in taken:
                yield hosts.fault(
                    *loc,
                    what=f"{address} of `{name}` is already that of {taken[address]}",
                    expected="one address for each",
                    write="write a free address",
                )
            taken.setdefault(address, f"`{name}` (line {hosts.document.line(loc)})")


def storage_can_hold_the_replicas(hosts: Part[HostsFile], settings: Part[Settings]) -> Iterator[Fault]:
    """Each copy of a block is on another host."""
    entry = hosts.value.all.children.get("storage")
    count, replicas = len(entry.hosts) if entry else 0, settings.value.storage.replicas
    if count and replicas > count:
        yield settings.fault(
            "storage",
            "replicas",
            what=f"{replicas} replicas on {count} storage host(s)",
            expected=f"at most {count}",
            write=f"write `replicas: {count}`, or add hosts to `storage`",
        )


def storage_hosts_have_osds(hosts: Part[HostsFile], settings: Part[Settings]) -> Iterator[Fault]:
    """A storage host has OSDs of its own or the site's."""
    entry = hosts.value.all.children.get("storage")
    for name in entry.hosts if entry else ():
        host = hosts.value.all.hosts.get(name)
        if host and not (settings.value.storage.osds if host.osds is None else host.osds):
            yield hosts.fault(
                "all",
                "hosts",
                name,
                what=f"the storage host `{name}` has no OSD",
                expected="`osds` here or in `storage` of site.yml",
                write="write for example `osds: [{device: /dev/nvme0n1, size_gib: 1788}]`",
            )


def computes_have_a_capacity(hosts: Part[HostsFile]) -> Iterator[Fault]:
    """Quotas are compared with what the hypervisors offer."""
    entry = hosts.value.all.children.get("computes")
    for name in entry.hosts if entry else ():
        host = hosts.value.all.hosts.get(name)
        if host and host.capacity is None:
            yield hosts.fault(
                "all",
                "hosts",
                name,
                what=f"the hypervisor `{name}` has no `capacity`",
                expected="its processors and memory",
                write="write for example `capacity: {vcpu: 64, ram_gib: 512}`",
            )


CHECKS = (
    groups_have_members,
    group_members_exist,
    hosts_are_in_a_group,
    quorums_are_odd,
    hosts_have_their_zones,
    addresses_are_in_their_zone,
    addresses_are_unique,
    storage_can_hold_the_replicas,
    storage_hosts_have_osds,
    computes_have_a_capacity,
)
