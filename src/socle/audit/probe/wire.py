"""Probe of isolation: two canary tenants in the same range of addresses, on the wire that guests have."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import openstack

from socle.audit.collect.collector import FactKind, of_component, of_site
from socle.audit.model import Fact
from socle.audit.probe.canaries import Canaries, Tenant
from socle.audit.probe.journal import Made
from socle.audit.probe.model import Ground, Probe
from socle.audit.probe.remote import call
from socle.site import Host, Site

SCRIPT: Final = "wire_end"
NETWORK: Final = "10.250.0.0/28"
SECONDS: Final = 60


@dataclass(frozen=True)
class End:
    """A port of a canary's network, plugged on a hypervisor."""

    name: str
    port: str
    mac: str
    address: str
    """CIDR."""
    host: str

    @property
    def alone(self) -> str:
        """The address without its prefix."""
        return self.address.partition("/")[0]


def _isolation(ground: Ground) -> Iterator[Fact]:
    site, canaries = ground.site, ground.canaries
    hosts = of_component("nova_compute")(site)
    here, there = hosts[0], hosts[-1]
    one, other = canaries.pair()
    with canaries.session.cloud() as cloud:
        first, second = _ends(cloud, canaries, one, {"10.250.0.4": here, "10.250.0.5": there})
        stranger, far = _ends(cloud, canaries, other, {"10.250.0.6": here, "10.250.0.7": there})
        ends = (first, second, stranger, far)
        for name in dict.fromkeys((here, there)):
            own = [asdict(end) for end in ends if end.host == name]
            call(site, site.hosts[name], SCRIPT, "plug", own)
        for end in ends:
            _bound(cloud, end)
    value = {
        "hypervisors": len({here, there}),
        "own": _echoes(site, first, second, known=False),
        "other_own": _echoes(site, stranger, far, known=False),
        "to_other": sum(_echoes(site, first, end, known=False) for end in (stranger, far)),
        "to_other_by_mac": sum(_echoes(site, first, end, known=True) for end in (stranger, far)),
        "from_other": sum(_echoes(site, stranger, end, known=True) for end in (first, second)),
    }
    yield ISOLATION.told(site.name, value)


def _ends(cloud: Any, canaries: Canaries, tenant: Tenant, places: dict[str, str]) -> list[End]:
    """A network of a tenant with ends that let everything in: what stops a packet is no filter of theirs.

    Args:
        places: address to the host where its end is plugged.
    """
    own = {"project_id": tenant.project}
    network = cloud.network.create_network(name="canary", **own)
    subnet = cloud.network.create_subnet(
        name="canary", network_id=network.id, ip_version=4, cidr=NETWORK, enable_dhcp=False, **own
    )
    group = cloud.network.create_security_group(name="canary", **own)
    for direction in ("egress", "ingress"):
        cloud.network.create_security_group_rule(
            security_group_id=group.id, direction=direction, ethertype="IPv4", **own
        )
    ends = []
    for address, host in places.items():
        name = f"canary{secrets.token_hex(4)}"
        canaries.announce(Made("wire", f"{host}/{name}"))
        port = cloud.network.create_port(
            name="canary",
            network_id=network.id,
            fixed_ips=[{"subnet_id": subnet.id, "ip_address": address}],
            security_groups=[group.id],
            binding_host_id=_chassis(cloud, host),
            **own,
        )
        cidr = f"{address}/{NETWORK.partition('/')[2]}"
        ends.append(End(name, port.id, port.mac_address, cidr, host))
    return ends


def _chassis(cloud: Any, host: str) -> str:
    """The name by which the network knows a host."""
    return next(
        str(agent.host) for agent in cloud.network.agents() if str(agent.host).partition(".")[0] == host
    )


def _bound(cloud: Any, end: End) -> None:
    """Wait until the network knows that the end is there.

    Raises:
        openstack.exceptions.ResourceTimeout: it does not.
    """
    for _attempt in openstack.utils.iterate_timeout(SECONDS, f"{end.name} does not come up", wait=1):
        if cloud.network.get_port(end.port).status == "ACTIVE":
            return


def _echoes(site: Site, source: End, target: End, *, known: bool) -> int:
    """How many echoes come back; ``known``: the sender knows the target's address on the wire beforehand."""
    wanted = {"name": "it", "address": target.alone, "mac": target.mac if known else None}
    said = call(site, site.hosts[source.host], SCRIPT, "reach", source.name, [wanted])
    return int(said["it"])


def remove(site: Site, name: str) -> None:
    """Take an end out of a hypervisor; ``name`` is ``<host>/<interface>``. Safe to kill and to repeat."""
    host, _slash, interface = name.partition("/")
    known: Host | None = site.hosts.get(host)
    if known is not None and interface.startswith("canary"):
        call(site, known, SCRIPT, "unplug", [interface])


ISOLATION: Final = Probe(
    name="isolation",
    fact=FactKind("probe.isolation", of_site, "Des échos entre deux canaris"),
    tried=(
        "des échos entre les ports sans filtre de deux clients canaris de même plage d’adresses, dont"
        " ceux où l’émetteur connaît d’avance l’adresse physique de l’autre"
    ),
    effects=(
        "deux réseaux et quatre ports de clients canaris ; sur les hyperviseurs, quatre interfaces du"
        " commutateur virtuel, chacune dans un espace de noms à elle ; tout est supprimé ensuite"
    ),
    run=_isolation,
)
PROBES: Final = (ISOLATION,)
