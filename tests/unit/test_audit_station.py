"""The station of administration as the audit reads it: this machine itself, and a network of its own."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from socle.audit import controls
from socle.audit.collect import collect, station
from socle.audit.collect.agent import Unread
from socle.audit.rules import RULES, Others
from socle.audit.schedule import TOLD
from socle.hardening.checks import special_rights_without
from socle.lab.build import layers_dir
from socle.paths import project_root
from socle.site import load
from tests.unit.audit_golden import golden

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace, and reads as root")
ENDS = "tmpl src 192.0.2.2 dst 192.0.2.1 proto esp mode tunnel"
TUNNEL = f"ip xfrm policy add src 10.9.0.7/32 dst 0.0.0.0/0 dir out {ENDS}"
CLOSED = """nft -f - <<X
table inet station {
  chain out {
    type filter hook output priority 0; policy drop;
    oif lo accept
    ct state established,related accept
    ip daddr 192.0.2.1 udp dport { 500, 4500 } accept
    ip daddr 192.0.2.1 meta l4proto esp accept
    udp sport 68 udp dport 67 accept
  }
}
X"""
NEW_TO_OPEN = """nft add chain inet station open
nft add rule inet station open accept
nft add rule inet station out ct state vmap '{ established : accept, related : accept, new : jump open }'"""


def closed_in(family: str) -> str:
    """One family's output closed, the other left as it is."""
    chain = "{ type filter hook output priority 0; policy drop; }"
    return f"nft add table {family} filter\nnft add chain {family} filter output '{chain}'"


def ways_out(*commands: str) -> dict[str, Any]:
    """What is read of a network where these commands ran."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_inside, args=(theirs, commands))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    found: dict[str, Any] = ours.recv()
    return found


def _inside(answer: Connection, commands: tuple[str, ...]) -> None:
    os.unshare(os.CLONE_NEWNET)
    for command in commands:
        subprocess.run(["sh", "-ec", command], check=True)
    answer.send(station.ways_out())


def red(control: str, value: Any) -> bool:
    one = controls.named(control)
    return bool(list(RULES[one.rule](value, one.expect, Others("lab", datetime.now(UTC)))))


def both(value: dict[str, Any]) -> tuple[bool, bool]:
    return red("mobile-tunnel-for-all", value), red("mobile-nothing-beside", value)


@ROOT
def test_a_station_whose_only_way_out_is_the_tunnel() -> None:
    found = ways_out(TUNNEL, CLOSED)
    assert both(found) == (False, False)
    recorded = golden("machine").of("station.mobile")["lab"].value
    assert {**found, "in_clear": []} == recorded


@ROOT
@pytest.mark.parametrize(
    ("commands", "found"),
    [
        ([], (True, True)),
        ([CLOSED], (True, False)),
        ([TUNNEL], (False, True)),
        ([TUNNEL, CLOSED, "ip xfrm policy add src 0.0.0.0/0 dst 192.168.1.0/24 dir out"], (True, False)),
        ([TUNNEL.replace("0.0.0.0/0", "10.77.0.0/24"), CLOSED], (True, False)),
        ([TUNNEL, CLOSED, "nft add rule inet station out tcp dport 443 accept"], (False, True)),
        ([TUNNEL, CLOSED, "nft add rule inet station out accept"], (False, True)),
        ([TUNNEL, CLOSED, "nft add rule inet station out udp dport { 53, 500 } accept"], (False, True)),
        ([TUNNEL, CLOSED, NEW_TO_OPEN], (False, True)),
        ([TUNNEL, CLOSED, "nft add rule inet station out rt ipsec missing accept"], (False, True)),
        ([TUNNEL, CLOSED, "nft add rule inet station out rt ipsec != exists accept"], (False, True)),
        (
            [TUNNEL, CLOSED, "nft add rule inet station out rt ipsec exists tcp dport 443 accept"],
            (False, False),
        ),
        ([TUNNEL, CLOSED, "nft add rule inet station out rt ipsec exists accept"], (False, False)),
        ([TUNNEL, closed_in("ip6")], (False, True)),
        ([TUNNEL, closed_in("ip")], (False, True)),
        ([TUNNEL, closed_in("ip"), closed_in("ip6")], (False, False)),
    ],
)
def test_every_way_around_the_tunnel_is_found(commands: list[str], found: tuple[bool, bool]) -> None:
    assert both(ways_out(*commands)) == found


def test_what_is_on_a_disk_without_encryption_is_named() -> None:
    def device(name: str, kind: str, *places: str | None, inside: Any = ()) -> dict[str, Any]:
        return {"name": name, "type": kind, "mountpoints": list(places), "children": list(inside)}

    root = device("/dev/mapper/root", "lvm", "/")
    sealed = device(
        "/dev/sda3", "part", None, inside=[device("/dev/mapper/luks", "crypt", None, inside=[root])]
    )
    disk = device("/dev/sda", "disk", None, inside=[device("/dev/sda1", "part", "/boot/efi"), sealed])
    assert station.in_clear([disk]) == []
    swap = device("/dev/sda4", "part", "[SWAP]")
    other = device("/dev/sdb", "disk", "/home", None)
    assert station.in_clear([{**disk, "children": [*disk["children"], swap]}, other]) == [
        "/dev/sda4 [SWAP]", "/dev/sdb /home"
    ]  # fmt: skip


def test_the_disks_of_this_machine_are_read() -> None:
    assert all({"name", "type", "mountpoints"} <= one.keys() for one in station._disks())


@ROOT
@pytest.mark.slow
def test_this_machine_is_read_as_a_station(monkeypatch: pytest.MonkeyPatch) -> None:
    site = load(project_root() / "inventories/lab")
    told = station._hardening(site, needs_kernel=False)
    assert {"lockout", "permissions", "services", "special_rights"} <= {one["theme"] for one in told.values()}
    if station.shares_kernel():
        with pytest.raises(Unread, match="partage le noyau"):
            station._hardening(site, needs_kernel=True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unread, match="root"):
        station._hardening(site, needs_kernel=False)


def test_what_is_missing_on_a_station_is_wrong() -> None:
    wanted = station.rules(load(project_root() / "inventories/lab"), shared=False)
    found = station.judged(wanted, [{"text": ""}] * len(wanted))
    lax = {name for name, one in found.items() if not one["wrong"]}
    assert {name.split()[0] for name in lax} <= {"permissions", "special_rights"}
    assert red("station-kernel-hardened", found)


def test_a_confined_audit_takes_what_was_read_before_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, file = load(project_root() / "inventories/lab"), tmp_path / "station.json"
    monkeypatch.setenv(TOLD, str(file))
    facts = collect(site, "live", station.COLLECTORS).facts
    assert {fact.name for fact in facts} == set(station.KINDS)
    assert all("n’a pas été lu avant l’audit confiné" in (fact.problem or "") for fact in facts)
    read = golden("machine").of("station.hardening")
    file.write_bytes(station.FACTS.dump_json(list(read.values())))
    assert collect(site, "live", station.COLLECTORS).facts == tuple(read.values())


def test_what_is_read_before_is_what_is_read_without_confinement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, file = load(project_root() / "inventories/lab"), tmp_path / "station.json"
    told = {name: (lambda _site, name=name: {"name": name}, "") for name in station.KINDS}
    monkeypatch.setattr(station, "KINDS", told)
    monkeypatch.setattr(sys, "argv", ["station", str(site.folder), str(file)])
    station.main()
    monkeypatch.setenv(TOLD, str(file))
    facts = collect(site, "live", station.COLLECTORS).facts
    assert [(fact.name, fact.value) for fact in facts] == [(name, {"name": name}) for name in station.KINDS]


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder into which everybody gets, with a cache and the state of a lab below it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        monkeypatch.setenv("SOCLE_CACHE", f"{folder}/cache")
        (folder / "states/lab").mkdir(parents=True, mode=0o700)
        (folder / "states/lab/lab/nodes").mkdir(parents=True)
        yield folder


@ROOT
def test_the_files_of_the_nodes_of_a_lab_are_not_those_of_this_machine(entered: Path) -> None:
    expected = [layers_dir(), entered / "states/lab/lab/nodes"]
    assert station.roots_of_nodes(entered / "states") == expected


@ROOT
def test_a_folder_that_others_may_enter_is_looked_into_all_the_same(entered: Path) -> None:
    layers_dir().chmod(0o755)
    assert station.roots_of_nodes(entered / "states") == [entered / "states/lab/lab/nodes"]
    (entered / "states/lab").chmod(0o711)
    assert station.roots_of_nodes(entered / "states") == []


@ROOT
def test_the_walk_goes_past_these_folders_alone(tmp_path: Path) -> None:
    for name in ("past", "seen"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
        os.chown(tmp_path / name / "file", 54321, 54321)
    walk = special_rights_without([str(tmp_path / "past")]).replace("find /", f"find {tmp_path}")
    told = subprocess.run(["sh", "-c", walk], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [str(tmp_path / "seen/file")]
