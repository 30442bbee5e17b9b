"""What is open is what the flow matrix names, and nothing else: scans from every node and from strangers."""

from __future__ import annotations

import contextlib
import json
import random
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from socle import catalogue
from socle.lab.from_site import plan_from_site
from socle.paths import state_dir
from socle.site.flows import ANYWHERE, Flow, flows

SCANNER = files("socle.audit.collect").joinpath("syn_scan.py").read_text("utf-8")
FIRST_LINE_IS_THE_PROGRAM = "import json, sys; exec(json.loads(sys.stdin.readline()))"
PATIENCE = "1.5"
MARK = 0x50C1E
"""Packets of the scanner that the source's own firewall lets out while the target's is measured."""
ALL_PORTS = range(1, 65536)
SAMPLE = 1500
SEED = 20260101
AT_ONCE = 3
"""Scans: most of their time they wait."""
STRANGER = 250
"""Last byte of the addresses that no file of the site names."""
type Answers = dict[str, list[int]]


@dataclass(frozen=True)
class End:
    """One place to scan from."""

    name: str
    zone: str
    address: str


@pytest.fixture(scope="module")
def matrix(lab: Any) -> tuple[Flow, ...]:
    """The flows of the site."""
    return flows(lab.site, catalogue.load())


@pytest.fixture(scope="module")
def nodes(lab: Any) -> list[End]:
    """Every address of every node; the provider zone belongs to the guests."""
    return [
        End(host.name, zone, str(address))
        for host in lab.site.hosts.values()
        for zone, address in host.addresses.items()
    ]


@pytest.fixture(scope="module")
def targets(lab: Any, nodes: list[End]) -> dict[str, list[str]]:
    """Addresses to scan in each zone: of the nodes and the shared ones."""
    found: dict[str, list[str]] = {}
    for end in nodes:
        found.setdefault(end.zone, []).append(end.address)
    found["admin"].append(str(lab.site.endpoints.internal.address))
    found["api"].append(str(lab.site.endpoints.public.address))
    return found


@pytest.fixture(scope="module")
def strangers(lab: Any, targets: Mapping[str, list[str]]) -> Iterator[list[End]]:
    """The deployer, and in each zone an address that no file names."""
    found = [End("", "admin", str(address)) for address in lab.site.settings.deployers]
    plan = plan_from_site(lab.site, catalogue.load())
    with contextlib.ExitStack() as undo:
        for zone in targets:
            prefix = lab.site.settings.zones[zone].prefix
            stranger = str(prefix[STRANGER])
            on_bridge = [f"{stranger}/{prefix.prefixlen}", "dev", plan.zone(zone).bridge]
            subprocess.run(["ip", "address", "replace", *on_bridge], check=True)
            undo.callback(subprocess.run, ["ip", "address", "delete", *on_bridge], check=True)
            found.append(End("", zone, stranger))
        yield found


@pytest.fixture(scope="module")
def scanning(lab: Any) -> Iterator[None]:
    """What the scans tried is not kept as evidence of others."""
    yield
    for name in lab.site.hosts:
        for direction in ("in", "out"):
            lab.on(name, f"nft flush set inet socle refused_{direction}")


@pytest.fixture(scope="module")
def sample(lab: Any, matrix: Iterable[Flow]) -> list[int]:
    """Ports where a mistake would show: edges of every range, what listens anywhere, and some others."""
    edges = {p for f in matrix for p in (f.first_port - 1, f.first_port, f.last_port, f.last_port + 1)}
    heard = {port for name in lab.site.hosts for _transport, _address, port in listening(lab, name)}
    others = random.Random(SEED).sample(ALL_PORTS, SAMPLE)  # noqa: S311 - to be the same each time
    return sorted((edges | heard | set(others)) & set(ALL_PORTS))


def scan(lab: Any, source: End, wanted: Mapping[str, Iterable[int]], mark: int = 0) -> Answers:
    """Which ports of which addresses a packet reaches."""
    python = ["python3", "-c", FIRST_LINE_IS_THE_PROGRAM, source.address, str(mark), PATIENCE]
    config = state_dir(lab.site.name) / "ssh_config"
    command = (
        ["ssh", "-F", str(config), source.name, shlex.join(["sudo", *python])] if source.name else python
    )
    given = f"{json.dumps(SCANNER)}\n{json.dumps({target: [*ports] for target, ports in wanted.items()})}"
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{source}: {done.stderr}"
    found: Answers = json.loads(done.stdout)
    return found


def from_each(sources: Iterable[End], scanned: Callable[[End], Answers]) -> list[tuple[End, Answers]]:
    """What each place reaches, in their order."""
    ends = list(sources)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(zip(ends, pool.map(scanned, ends), strict=True))


def allowed(matrix: Iterable[Flow], source: str, target: str) -> set[int]:
    """TCP ports of the matrix from one address to another."""
    return {
        port
        for flow in matrix
        if flow.protocol == "tcp" and target in {end.removesuffix("/32") for end in flow.destinations}
        if any(ip_address(source) in ip_network(prefix) for prefix in flow.sources)
        for port in range(flow.first_port, flow.last_port + 1)
    }


def listening(lab: Any, node: str) -> list[tuple[str, str, int]]:
    """Transport, address and port of everything on a node that listens beyond the node itself."""
    found = []
    for line in lab.on(node, "ss --no-header --numeric --listening --tcp --udp").splitlines():
        transport, _state, _in, _out, local = line.split()[:5]
        address, _, port = local.rpartition(":")
        bare = address.strip("[]").split("%")[0]
        if bare == "*" or not ip_address(bare).is_loopback:
            found.append((transport, bare, int(port)))
    return found


def refused(lab: Any, node: str, direction: str) -> list[Any]:
    """Connections that a node refused since its rules were loaded."""
    shown = json.loads(lab.on(node, f"nft --json list set inet socle refused_{direction}"))
    return [entry for part in shown["nftables"] if "set" in part for entry in part["set"].get("elem", [])]


def concatenated(entry: Any) -> list[Any]:
    """Source, destination, protocol and port of an entry of a set, which may have a counter around it."""
    found: list[Any] = entry.get("elem", {}).get("val", entry)["concat"]
    return found


def test_no_node_called_what_no_file_names_since_it_was_deployed(lab: Any) -> None:
    called = {name: refused(lab, name, "out") for name in lab.site.hosts}
    assert {name: calls for name, calls in called.items() if calls} == {}


def test_nodes_were_refused_nothing_by_each_other(lab: Any) -> None:
    own = {str(address) for host in lab.site.hosts.values() for address in host.addresses.values()}
    calls = {
        name: [call for call in refused(lab, name, "in") if str(concatenated(call)[0]) in own]
        for name in lab.site.hosts
    }
    assert {name: call for name, call in calls.items() if call} == {}


@pytest.mark.usefixtures("scanning")
def test_strangers_and_the_deployer_reach_what_the_matrix_says(
    lab: Any, matrix: tuple[Flow, ...], strangers: list[End], targets: Mapping[str, list[str]]
) -> None:
    """Every port of every address, from beside the nodes."""

    def scanned(source: End) -> Answers:
        return scan(lab, source, dict.fromkeys(targets[source.zone], ALL_PORTS))

    for source, reached in from_each(strangers, scanned):
        expected = {target: sorted(allowed(matrix, source.address, target)) for target in reached}
        assert reached == expected, source


@pytest.mark.usefixtures("scanning")
def test_nodes_let_in_exactly_the_flows_of_the_matrix(
    lab: Any, matrix: tuple[Flow, ...], nodes: list[End], targets: Mapping[str, list[str]], sample: list[int]
) -> None:
    def scanned(source: End) -> Answers:
        others = _others(lab, source, targets)
        with rule(lab, source.name, "out", f"meta mark {MARK}"):
            return scan(lab, source, dict.fromkeys(others, sample), MARK)

    for source, reached in from_each(nodes, scanned):
        expected = {t: sorted(allowed(matrix, source.address, t) & set(sample)) for t in reached}
        assert reached == expected, source


@pytest.mark.usefixtures("scanning")
def test_nodes_let_out_exactly_the_flows_of_the_matrix(
    lab: Any, matrix: tuple[Flow, ...], nodes: list[End], targets: Mapping[str, list[str]], sample: list[int]
) -> None:
    def scanned(source: End) -> Answers:
        others = [*_others(lab, source, targets), str(lab.site.settings.zones[source.zone].prefix[1])]
        return scan(lab, source, dict.fromkeys(others, sample))

    with contextlib.ExitStack() as opened:
        for name in lab.site.hosts:
            opened.enter_context(rule(lab, name, "in", "tcp sport 50123"))
        for source, reached in from_each(nodes, scanned):
            # A call to a public end point is the users', not a node's.
            named = [flow for flow in matrix if ANYWHERE not in flow.sources]
            expected = {t: sorted(allowed(named, source.address, t) & set(sample)) for t in reached}
            assert reached == expected, source


@contextlib.contextmanager
def rule(lab: Any, node: str, chain: str, match: str) -> Iterator[None]:
    """A rule before all others of a chain, taken away afterwards."""
    shown = lab.on(node, f"nft --echo --json insert rule inet socle {chain} {match} accept")
    handle = next(int(part["insert"]["rule"]["handle"]) for part in json.loads(shown)["nftables"])
    try:
        yield
    finally:
        lab.on(node, f"nft delete rule inet socle {chain} handle {handle}")


def _others(lab: Any, source: End, targets: Mapping[str, list[str]]) -> list[str]:
    own = {str(address) for address in lab.site.hosts[source.name].addresses.values()}
    if "controllers" in lab.site.hosts[source.name].groups:
        own |= {str(end.address) for end in (lab.site.endpoints.internal, lab.site.endpoints.public)}
    return [address for address in targets[source.zone] if address not in own]
