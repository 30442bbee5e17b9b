"""``hosts.yml``: an ordinary Ansible inventory, and the hosts as the rest of the kit sees them."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from socle.catalogue.model import Zone
from socle.site.fields import Bool, Entry, HostName, MachineAddress, Positive, Slug
from socle.site.settings import Osd

Group = Literal["controllers", "computes", "storage", "vault", "gateways"]


class Capabilities(Entry):
    """What a host can do; a container of the lab cannot do everything that a machine can."""

    kernel: Bool = True
    auditd: Bool = True
    apparmor: Bool = True
    time: Bool = True
    kvm: Bool = True
    ovs_kernel_datapath: Bool = True


class Capacity(Entry):
    """What a hypervisor offers to guests, before the allocation ratios."""

    vcpu: Positive
    ram_gib: Positive


class HostEntry(Entry):
    """The variables of one host."""

    addresses: dict[Zone, MachineAddress]
    interfaces: dict[Zone, Slug] = Field(
        default_factory=dict,
        description="Interface of a zone when it is not named like the zone, or has no address",
    )
    room: Slug | None = None
    rack: Slug | None = None
    capabilities: Capabilities | None = None
    capacity: Capacity | None = None
    osds: tuple[Osd, ...] | None = None
    dedicated_to: Literal["health"] | None = Field(None, description="Guests of this kind only")


class SharedVars(Entry):
    """Variables of every host that does not say otherwise."""

    capabilities: Capabilities | None = None
    room: Slug | None = None


class GroupEntry(Entry):
    """The members of a group; their variables are under `all: hosts`."""

    hosts: dict[HostName, None]


class AllHosts(Entry):
    """The root group of Ansible."""

    vars: SharedVars = SharedVars()
    hosts: dict[HostName, HostEntry]
    children: dict[Group, GroupEntry]


class HostsFile(Entry):
    """An Ansible inventory in YAML: the variables under `all: hosts`, the groups under `all: children`."""

    all: AllHosts


class Host(Entry):
    """One host with its groups and with the site's defaults filled in."""

    name: HostName
    groups: tuple[Group, ...]
    addresses: dict[Zone, MachineAddress]
    interfaces: dict[Zone, Slug]
    room: Slug | None
    rack: Slug | None
    capabilities: Capabilities
    capacity: Capacity | None
    osds: tuple[Osd, ...]
    dedicated_to: Literal["health"] | None

    @cached_property
    def address(self) -> str:
        """The address in the admin zone, by which the host is deployed."""
        return str(self.addresses["admin"])


def hosts_of(file: HostsFile, default_osds: tuple[Osd, ...]) -> dict[str, Host]:
    """The hosts of an inventory, in its order."""
    groups: dict[str, list[Group]] = {name: [] for name in file.all.hosts}
    for group, entry in file.all.children.items():
        for name in entry.hosts:
            groups.setdefault(name, []).append(group)
    return {
        name: _host(name, entry, tuple(groups[name]), file.all.vars, default_osds)
        for name, entry in file.all.hosts.items()
    }


def _host(
    name: str, entry: HostEntry, groups: tuple[Group, ...], shared: SharedVars, default_osds: tuple[Osd, ...]
) -> Host:
    own = entry.osds if entry.osds is not None else default_osds
    return Host.model_construct(
        name=name,
        groups=groups,
        addresses=entry.addresses,
        interfaces={**{zone: str(zone) for zone in entry.addresses}, **entry.interfaces},
        room=entry.room or shared.room,
        rack=entry.rack,
        capabilities=entry.capabilities or shared.capabilities or Capabilities(),
        capacity=entry.capacity,
        osds=own if "storage" in groups else (),
        dedicated_to=entry.dedicated_to,
    )
