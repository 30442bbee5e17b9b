"""What a lab is made of, computed from the site: zones, nodes, packages. Nothing here touches the machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

DEFAULT_LAB = "lab"
LONGEST_LINK_NAME = 15  # IFNAMSIZ - 1, linux/if.h
JUMBO_MTU = 9000


@dataclass(frozen=True)
class LabZone:
    """A network zone: one bridge on the machine."""

    name: str
    prefix: IPv4Network
    bridge: str
    mtu: int
    host_address: IPv4Interface | None
    """The machine's own address in the zone, if it has one."""


@dataclass(frozen=True)
class Cable:
    """A node's connection to a zone."""

    zone: str
    device: str
    """Name of the interface inside the node."""
    address: IPv4Interface | None
    """None for an interface that goes into a bridge of Open vSwitch."""


@dataclass(frozen=True)
class LabNode:
    """A container that stands for a machine of the site."""

    name: str
    groups: tuple[str, ...]
    address: IPv4Address
    """Where SSH reaches it: its address in the admin zone."""
    cables: tuple[Cable, ...]
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Debian:
    """Where the nodes' packages come from."""

    mirror: str
    suite: str
    components: tuple[str, ...] = ("main",)


@dataclass(frozen=True)
class LabPlan:
    """Everything that ``socle lab up`` makes."""

    name: str
    user: str
    """Account that deploys over SSH."""
    debian: Debian
    zones: tuple[LabZone, ...]
    nodes: tuple[LabNode, ...]
    names: tuple[tuple[str, str], ...] = ()
    """Address and name of what this machine must find without a DNS server."""
    folder: Path | None = None
    """The site's; None for a lab that has none."""

    def zone(self, name: str) -> LabZone:
        """The zone of this name; KeyError when the lab has none."""
        return {zone.name: zone for zone in self.zones}[name]

    def node(self, name: str) -> LabNode:
        """The node of this name; KeyError when the lab has none."""
        return {node.name: node for node in self.nodes}[name]


def kinds(nodes: Iterable[LabNode]) -> dict[tuple[str, ...], list[LabNode]]:
    """Nodes by the packages that they share: each key is one layer, the longest first."""
    result: dict[tuple[str, ...], list[LabNode]] = {}
    for node in sorted(nodes, key=lambda node: (-len(node.packages), node.name)):
        result.setdefault(node.packages, []).append(node)
    return result


def bridge_name(lab: str, zone: str) -> str:
    """``socle-<zone>`` for the default lab, the lab's own name in front for another."""
    return link_name("socle" if lab == DEFAULT_LAB else lab, zone)


def veth_name(lab: str, node: str, zone: str) -> str:
    """The machine's end of a node's cable."""
    return link_name(node, zone) if lab == DEFAULT_LAB else link_name(lab, node, zone)


def link_name(*parts: str) -> str:
    """A network interface name of at most 15 characters; a longer one ends in a hash of the whole."""
    whole = "-".join(parts)
    if len(whole) <= LONGEST_LINK_NAME:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:4]
    return f"{whole[: LONGEST_LINK_NAME - 5]}-{digest}"
