"""What answers from each zone in which this machine has an address, beside what the flow matrix allows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from ipaddress import ip_address, ip_network
from typing import Final

from socle import catalogue
from socle.audit.collect.collector import Collector, FactKind
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.site import Site
from socle.site.flows import Flow, flows

INSIDE: Final = "network.scan_inside"
NAMES: Final = {"admin": "network.scan", "api": "network.scan_public"}
"""The fact of each zone where people come in; in the others only hosts have addresses."""
PATIENCE: Final = "1.0"
SECONDS: Final = 60
PUBLIC: Final = frozenset({"api", "provider"})
"""Zones that tenants' people and guests reach: from there every address of the admin zone is tried too."""
WELL_KNOWN: Final = (
    *(20, 21, 22, 23, 25, 53, 69, 79, 80, 88, 110, 111, 113),
    *(123, 135, 137, 139, 143, 161, 179, 199, 389, 427, 443, 445, 465),
    *(500, 512, 513, 514, 515, 543, 546, 554, 587, 593, 623, 631, 636),
    *(646, 664, 830, 873, 902, 993, 995, 1080, 1099, 1194, 1433, 1521, 1723),
    *(1883, 2049, 2181, 2222, 2375, 2376, 2379, 2380, 3000, 3128, 3260, 3389, 4000),
    *(4444, 4506, 4789, 5000, 5353, 5355, 5405, 5432, 5672, 5985, 5986, 6000, 6379),
    *(6443, 7946, 8000, 8006, 8008, 8081, 8086, 8088, 8443, 8500, 8765, 8888, 9000),
    *(9090, 9093, 9100, 9200, 9300, 9418, 9999, 10000, 10050, 10250, 11211, 15672, 16509),
    *(16514, 19531, 19532, 25672, 27017, 35357, 50000, 61616, 64738),
)
"""Ports by which machines are administered, watched or attacked, whatever a site deploys."""


def of_zones(site: Site) -> tuple[str, ...]:
    """Zones in which hosts have addresses."""
    return tuple(sorted({str(zone) for host in site.hosts.values() for zone in host.addresses}))


def of_inner_zones(site: Site) -> tuple[str, ...]:
    """Those where only hosts have addresses."""
    return tuple(zone for zone in of_zones(site) if zone not in NAMES)


def ports(matrix: Iterable[Flow]) -> list[int]:
    """Both ends of each range of the matrix and their neighbours, and the well-known ones."""
    edges = {
        p
        for f in matrix
        if f.protocol == "tcp"
        for p in (f.first_port - 1, f.first_port, f.last_port, f.last_port + 1)
    }
    return sorted({port for port in edges | set(WELL_KNOWN) if 0 < port < 1 << 16})


def allowed(matrix: Iterable[Flow], source: str, target: str) -> set[int]:
    """TCP ports of the matrix from one address to another."""
    return {
        port
        for flow in matrix
        if flow.protocol == "tcp" and target in {end.removesuffix("/32") for end in flow.destinations}
        if any(ip_address(source) in ip_network(prefix) for prefix in flow.sources)
        for port in range(flow.first_port, flow.last_port + 1)
    }


def targets(site: Site) -> dict[str, list[str]]:
    """Addresses in each zone: of hosts and the shared ones."""
    found: dict[str, list[str]] = {}
    for host in site.hosts.values():
        for zone, address in host.addresses.items():
            found.setdefault(str(zone), []).append(str(address))
    found.setdefault("admin", []).append(str(site.endpoints.internal.address))
    found.setdefault("api", []).append(str(site.endpoints.public.address))
    return found


def own_address(site: Site, zone: str) -> str | None:
    """This machine's address in a zone: the one from which it would call there."""
    prefix = site.settings.zones[zone].prefix  # type: ignore[index]
    try:
        with socket.socket(
            socket.AF_INET6 if ":" in str(prefix) else socket.AF_INET, socket.SOCK_DGRAM
        ) as probe:
            probe.connect((str(prefix[1]) if prefix.num_addresses > 1 else str(prefix[0]), 9))
            address = str(probe.getsockname()[0])
    except OSError:
        return None
    return address if ip_address(address) in prefix else None


def _read(site: Site) -> Iterator[Fact]:
    matrix = flows(site, catalogue.load())
    with ThreadPoolExecutor(max(len(of_zones(site)), 1)) as pool:
        yield from pool.map(lambda zone: _zone(site, matrix, zone), of_zones(site))


def _zone(site: Site, matrix: tuple[Flow, ...], zone: str) -> Fact:
    name = NAMES.get(zone, INSIDE)
    source = own_address(site, zone)
    if source is None:
        return Fact(name=name, subject=zone, problem="cette machine n’a pas d’adresse dans la zone")
    if os.geteuid() != 0:
        return Fact(name=name, subject=zone, problem="le balayage demande les droits de root (CAP_NET_RAW)")
    known = targets(site)
    wanted = [*known.get(zone, []), *(known["admin"] if zone in PUBLIC else [])]
    tried = ports(matrix)
    try:
        reached = scan(source, dict.fromkeys(wanted, tried))
    except SocleError as error:
        return Fact(name=name, subject=zone, problem=str(error))
    value = {
        "from": source,
        "ports": len(tried),
        "addresses": [
            {
                "name": target,
                "reached": reached[target],
                "allowed": sorted(allowed(matrix, source, target) & set(tried)),
                "zone": "admin" if target in known["admin"] else zone,
            }
            for target in wanted
        ],
    }
    return Fact(name=name, subject=zone, value=value)


def scan(source: str, wanted: dict[str, list[int]]) -> dict[str, list[int]]:
    """Which ports of which addresses a packet from here reaches, be it to be refused there.

    Raises:
        SocleError: the scanner failed, or this machine's own firewall kept packets.
    """
    program = files("socle.audit.collect").joinpath("syn_scan.py")
    command = [sys.executable, str(program), source, "0", PATIENCE]
    try:
        done = subprocess.run(
            command, input=json.dumps(wanted), capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise SocleError(f"le balayage ne finit pas en {SECONDS} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise SocleError(f"le balayage échoue : {said[-1] if said else done.returncode}")
    if kept := done.stderr.strip():
        raise SocleError(f"le pare-feu de cette machine retient {kept} paquets du balayage")
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="port scan",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(
                "network.scan",
                lambda _site: ("admin",),
                "Ports TCP qui répondent dans la zone d’administration, et ceux de la matrice",
            ),
            FactKind(
                "network.scan_public",
                lambda _site: ("api",),
                "Ports TCP qui répondent à la zone publique, zone d’administration comprise",
            ),
            FactKind(INSIDE, of_inner_zones, "Les mêmes dans les zones où seuls les hôtes ont une adresse"),
        ),
        read=_read,
        permission="des paquets SYN depuis cette machine ; rien n’est ouvert",
    ),
)
