"""What the catalogue says of every component is so on every node: packages, units, ports, health."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from socle.catalogue.model import Listener
from tests.roles.lab import (
    CATALOGUE,
    NODES,
    PAIRS,
    SITE,
    components_of,
    each_component,
    each_node,
    host,
    output,
)

# Open only while controllers speak with each other.
BETWEEN_CONTROLLERS = {"replication", "state_transfer", "snapshot_transfer", "cache"}
HEALTHY = [
    (node, component, name)
    for node, component in PAIRS
    for name, entry in CATALOGUE[component].listeners.items()
    if entry.health
]

Socket = tuple[str, str, int]
"""Protocol, address, port."""


@each_component
def test_its_packages_are_installed(node: str, component: str) -> None:
    wanted = CATALOGUE[component].packages
    if wanted:
        text = output(node, f"dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n' {' '.join(wanted)}")
        assert set(text.split("\n")) - {""} == {f"{name} installed" for name in wanted}


@each_component
def test_its_account_cannot_log_in(node: str, component: str) -> None:
    user = CATALOGUE[component].user
    if user != "root":
        fields = output(node, f"getent shadow {user}").split(":")
        assert fields[1][:1] in {"!", "*"}, f"{user} has a password"


@each_component
def test_its_units_run_and_start_with_the_machine(node: str, component: str) -> None:
    units = CATALOGUE[component].units
    if units and not (component == "base" and not SITE.hosts[node].capabilities.time):
        shown = output(node, f"systemctl show --property=Id,ActiveState,UnitFileState {' '.join(units)}")
        states = [
            dict(line.split("=", 1) for line in block.split("\n")) for block in shown.strip().split("\n\n")
        ]
        assert len(states) == len(units)
        wrong = [s for s in states if s["ActiveState"] != "active" or s["UnitFileState"] != "enabled"]
        assert not wrong


@each_node
def test_the_clock_is_nobodys_where_the_host_cannot_set_it(node: str) -> None:
    able = SITE.hosts[node].capabilities.time
    for unit in CATALOGUE["base"].units:
        assert host(node).service(unit).is_running == able
    assert not host(node).service("systemd-timesyncd").is_running


@each_node
def test_no_unit_has_failed(node: str) -> None:
    assert output(node, "systemctl --failed --no-legend --plain") == ""


@each_node
def test_ports_are_open_exactly_where_the_catalogue_says(node: str) -> None:
    wanted, allowed = expected(node)
    found = listening(node)
    missing, extra = wanted - found, found - wanted - allowed
    assert not missing, "nothing listens there"
    assert not extra, "nobody should listen there"


def test_an_open_port_would_be_noticed() -> None:
    lines = "tcp LISTEN 0 5 [::]:8080 *:*\ntcp LISTEN 0 5 *:25 *:*\nudp UNCONN 0 0 127.0.0.1:53 *:*"
    found = set(parsed(lines))
    assert found == {("tcp", "::", 8080), ("tcp", "::", 25)}
    wanted, allowed = expected(NODES[0])
    assert not found & (wanted | allowed)


@pytest.mark.parametrize(("node", "component", "name"), HEALTHY, ids=["-".join(item) for item in HEALTHY])
def test_it_says_that_it_is_well(node: str, component: str, name: str) -> None:
    entry = CATALOGUE[component].listeners[name]
    url = f"https://{address(node, entry)}:{entry.port}{entry.health}"
    shown = "--silent --show-error --output /dev/null --write-out '%{http_code}'"
    if entry.tls == "mutual":
        shown += f" --header 'Host: {SITE.endpoints.public.name}'"
        shown += " --cacert /etc/socle/tls/proxy.ca --cert /etc/socle/tls/proxy.pem"
    assert 200 <= int(output(node, f"curl {shown} --max-time 20 {url}")) < 400, url


def address(node: str, entry: Listener) -> str:
    """A node's address in the zone of a listener."""
    return str(SITE.hosts[node].addresses[entry.zone])


def expected(node: str) -> tuple[set[Socket], set[Socket]]:
    """Sockets that must be open on a node, and those that may be."""
    must: set[Socket] = set()
    may: set[Socket] = set()
    for entry_name, entry in listeners(node):
        at = address(node, entry)
        ports = range(entry.port, (entry.last_port or entry.port) + 1)
        kind = "udp" if entry.protocol == "udp" else "tcp"
        sometimes = entry.last_port or entry.zone == "overlay" or entry_name in BETWEEN_CONTROLLERS
        (may if sometimes else must).update((kind, at, port) for port in ports)
    if "haproxy" in components_of(node):
        must |= set(fronts())
    return must, may


def listeners(node: str) -> Iterator[tuple[str, Listener]]:
    """Every listener of what runs on a node."""
    for component in components_of(node).values():
        yield from component.listeners.items()


def fronts() -> Iterator[Socket]:
    """What HAProxy publishes, on the shared addresses."""
    shared = {"admin": SITE.endpoints.internal.address, "api": SITE.endpoints.public.address}
    for component in CATALOGUE.components.values():
        for entry in component.listeners.values():
            for zone in entry.front.zones if entry.front else ():
                yield "tcp", str(shared[zone]), entry.front_port


def listening(node: str) -> set[Socket]:
    """What listens on a node beyond itself."""
    return set(parsed(output(node, "ss --no-header --listening --numeric --tcp --udp")))


def parsed(text: str) -> Iterator[Socket]:
    """Lines of ss(8) without those of the loopback; ``*`` is any address."""
    for line in text.splitlines():
        kind, _state, _received, _sent, local, *_rest = line.split()
        at, _colon, port = local.rpartition(":")
        at = re.sub(r"%.*", "", at.strip("[]")).replace("*", "::")
        if not ip_address(at).is_loopback:
            yield kind, at, int(port)
