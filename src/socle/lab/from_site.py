"""The lab's plan from the site model: every host of the site becomes a node, every zone a bridge."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from socle.catalogue import Catalogue
from socle.catalogue.model import Zone
from socle.errors import ExitCode, SocleError
from socle.lab.plan import JUMBO_MTU, Cable, Debian, LabNode, LabPlan, LabZone, bridge_name

if TYPE_CHECKING:
    from socle.site import Site
    from socle.site.hosts import Host

HOST_ZONES = ("admin", "api", "provider")
"""Zones in which the machine itself has an address: it reaches SSH, the APIs and floating IPs."""


def plan_from_site(site: Site, catalogue: Catalogue, *, lab: str | None = None) -> LabPlan:
    """What ``socle lab up`` makes for a site.

    Args:
        lab: name of the lab, when it is not the site's.

    Raises:
        SocleError: the site has a zone or an address that is not IPv4; a lab has no other.
    """
    name = lab or site.name
    zones = tuple(_zone(site, name, zone) for zone in site.settings.zones)
    prefixes = {zone.name: zone.prefix for zone in zones}
    mirror = site.settings.mirror
    return LabPlan(
        name=name,
        user=site.settings.deploy_user,
        debian=Debian(str(mirror.url), mirror.suite, tuple(mirror.components)),
        zones=zones,
        nodes=tuple(_node(host, prefixes, catalogue) for host in site.hosts.values()),
        names=tuple((str(e.address), e.name) for e in (site.endpoints.internal, site.endpoints.public)),
        folder=site.folder,
    )


def _zone(site: Site, lab: str, name: Zone) -> LabZone:
    prefix = site.settings.zones[name].prefix
    if not isinstance(prefix, IPv4Network):
        raise _not_ipv4(f"zone {name}", str(prefix))
    # Geneve's header comes on top of the tenants' packets.
    mtu = JUMBO_MTU if name == "overlay" else site.settings.zones[name].mtu
    return LabZone(name, prefix, bridge_name(lab, name), mtu, _host_address(site, name, prefix))


def _host_address(site: Site, zone: Zone, prefix: IPv4Network) -> IPv4Interface | None:
    """The first deployer's address that is in the zone, else the first address of the prefix."""
    if zone not in HOST_ZONES:
        return None
    first = prefix.network_address + 1
    ours = [address for address in site.settings.deployers if address in prefix]
    return IPv4Interface(f"{ours[0] if ours else first}/{prefix.prefixlen}")


def _node(host: Host, prefixes: Mapping[str, IPv4Network], catalogue: Catalogue) -> LabNode:
    return LabNode(
        name=host.name,
        groups=host.groups,
        address=_ipv4(host, "admin"),
        cables=tuple(_cable(host, zone, prefixes[zone]) for zone in host.interfaces),
        packages=catalogue.packages_of(host.groups),
    )


def _cable(host: Host, zone: Zone, prefix: IPv4Network) -> Cable:
    address = None
    if zone in host.addresses:
        address = IPv4Interface(f"{_ipv4(host, zone)}/{prefix.prefixlen}")
    return Cable(zone, host.interfaces[zone], address)


def _ipv4(host: Host, zone: Zone) -> IPv4Address:
    address = host.addresses[zone]
    if not isinstance(address, IPv4Address):
        raise _not_ipv4(host.name, str(address))
    return address


def _not_ipv4(where: str, found: str) -> SocleError:
    return SocleError(
        f"{found} is not IPv4",
        where=where,
        expected="IPv4 in a lab",
        write="write an IPv4 prefix or address",
        exit_code=ExitCode.INVALID_SITE,
    )
