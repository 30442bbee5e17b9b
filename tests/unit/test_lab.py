"""The lab's plan, its files and its checks of the machine, without making anything on it."""

from __future__ import annotations

import dataclasses
import subprocess
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socle import catalogue
from socle.errors import ExitCode, SocleError
from socle.lab import build, layers, network, prerequisites, process, ssh
from socle.lab.disk import Disk, hosts_file, network_files
from socle.lab.from_site import plan_from_site
from socle.lab.plan import LabPlan, bridge_name, kinds, link_name, veth_name
from socle.paths import project_root
from socle.site import load

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)


@pytest.fixture(scope="module")
def plan() -> LabPlan:
    return plan_from_site(load(project_root() / "inventories/lab"), catalogue.load())


def test_the_plan_of_the_lab_is_what_its_site_says(plan: LabPlan) -> None:
    assert [(node.name, str(node.address)) for node in plan.nodes] == [
        ("ctl1", "10.77.0.11"),
        ("cmp1", "10.77.0.21"),
        ("cmp2", "10.77.0.22"),
        ("sto1", "10.77.0.31"),
        ("sec1", "10.77.0.41"),
    ]
    assert {zone.name: str(zone.host_address) for zone in plan.zones if zone.host_address} == {
        "admin": "10.77.0.1/24",
        "api": "10.77.1.1/24",
        "provider": "10.77.4.1/24",
    }
    assert "nova-compute" in plan.node("cmp1").packages
    assert "nova-compute" not in plan.node("ctl1").packages


def test_a_provider_interface_has_no_address(plan: LabPlan) -> None:
    cables = {cable.zone: cable.address for cable in plan.node("cmp1").cables}
    assert cables["provider"] is None
    assert cables["overlay"] == IPv4Interface("10.77.3.21/24")


def test_the_overlay_has_room_for_geneve_around_1500_bytes(plan: LabPlan) -> None:
    assert plan.zone("overlay").mtu >= 1500 + 58
    assert plan.zone("admin").mtu == 1500


def test_nodes_with_the_same_packages_share_a_layer(plan: LabPlan) -> None:
    shared = [[node.name for node in nodes] for nodes in kinds(plan.nodes).values()]
    assert ["cmp1", "cmp2"] in shared
    assert len(shared) == 4
    assert shared[0] == ["ctl1"], "the longest is built first"


def test_a_layer_changes_with_its_packages_its_source_and_nothing_else(plan: LabPlan) -> None:
    node = plan.node("sec1")
    layer = layers.layer_of(plan, node)
    renamed = dataclasses.replace(plan, name="other", nodes=())
    backwards = dataclasses.replace(node, packages=tuple(reversed(node.packages)))
    assert layers.layer_of(renamed, backwards) == layer
    more = dataclasses.replace(node, packages=(*node.packages, "tcpdump"))
    assert layers.layer_of(plan, more) != layer
    elsewhere = dataclasses.replace(
        plan, debian=dataclasses.replace(plan.debian, mirror="http://mirror.example")
    )
    assert layers.layer_of(elsewhere, node) != layer


@given(NAMES, NAMES, NAMES)
def test_link_names_fit_the_kernel(lab: str, node: str, zone: str) -> None:
    for name in (bridge_name(lab, zone), veth_name(lab, node, zone)):
        assert 0 < len(name) <= 15


def test_two_labs_share_no_link_name(plan: LabPlan) -> None:
    names = [bridge_name(lab, zone.name) for lab in ("lab", "other") for zone in plan.zones]
    for lab in ("lab", "other"):
        names += [veth_name(lab, node.name, zone.name) for node in plan.nodes for zone in plan.zones]
    assert len(set(names)) == len(names)
    assert bridge_name("lab", "admin") == "socle-admin"
    assert link_name("cmp1", "a" * 20) != link_name("cmp1", "a" * 21)


def test_a_node_knows_the_others_and_no_gateway(plan: LabPlan) -> None:
    assert "10.77.0.41 sec1\n" in hosts_file(plan)
    files = network_files(plan, plan.node("cmp1"))
    assert set(files) == {f"10-{zone}.network" for zone in ("admin", "storage", "overlay", "provider")}
    assert "Address=10.77.3.21/24" in files["10-overlay.network"]
    assert "MTUBytes=9000" in files["10-overlay.network"]
    assert "\nAddress=" not in files["10-provider.network"]
    assert "Gateway" not in "".join(files.values())


def test_host_keys_are_checked_from_the_first_login(plan: LabPlan, tmp_path: Path) -> None:
    keys = {node.name: ssh.ensure_key(tmp_path / node.name, node.name) for node in plan.nodes}
    ssh.write_client_files(plan, tmp_path, keys)
    config = tmp_path / "ssh_config"
    for host in ("ctl1", "10.77.0.11"):
        seen = subprocess.check_output(["ssh", "-G", "-F", str(config), host], text=True).splitlines()
        assert "hostname 10.77.0.11" in seen
        assert "user socle" in seen
        assert "stricthostkeychecking true" in seen
        assert f"userknownhostsfile {tmp_path}/known_hosts" in seen
    found = subprocess.check_output(
        ["ssh-keygen", "-F", "sto1", "-f", str(tmp_path / "known_hosts")], text=True
    )
    assert " ".join(keys["sto1"].split()[:2]) in found


def test_a_key_is_made_once(tmp_path: Path) -> None:
    first = ssh.ensure_key(tmp_path / "key", "first")
    assert ssh.ensure_key(tmp_path / "key", "second") == first
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_small_machine_is_told_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "MEMORY_GIB", 10**6)
    monkeypatch.setattr(prerequisites, "DISK_GIB", 10**6)
    monkeypatch.setattr(prerequisites, "CORES", 10**3)
    monkeypatch.setattr(prerequisites.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(prerequisites, "cache_dir", lambda: Path("/"))
    with pytest.raises(SocleError) as told:
        prerequisites.check(layers_cached=False)
    assert told.value.exit_code == ExitCode.PREREQUISITE
    lines = str(told.value).splitlines()
    assert len(lines) >= 4
    for word in ("not root", "processor cores", "GiB of memory available", "GiB free under /"):
        assert len([line for line in lines if word in line]) == 1
    assert all(line.startswith("this machine: ") for line in lines)


def test_another_system_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('PRETTY_NAME="Autre 1"\nID=autre\nVERSION_ID="1"\n', encoding="utf-8")
    monkeypatch.setattr(prerequisites, "OS_RELEASE", release)
    with pytest.raises(SocleError, match=r"runs Autre 1; expected Debian 12 or 13"):
        prerequisites.check(layers_cached=True)


def test_a_prefix_in_use_is_refused(plan: LabPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    routes = '[{"dst": "default", "dev": "eth0"}, {"dst": "10.77.0.0/16", "dev": "vpn0"}]'
    monkeypatch.setattr(network, "run", lambda *_, **__: routes)
    with pytest.raises(SocleError, match=r"10\.77\.0\.0/24 of zone admin is already routed to vpn0") as told:
        network.check_free(plan)
    assert told.value.exit_code == ExitCode.PREREQUISITE


def test_the_labs_own_routes_are_no_conflict(plan: LabPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "run", lambda *_, **__: '[{"dst": "10.77.0.0/24", "dev": "socle-admin"}]')
    network.check_free(plan)


def test_a_failed_command_is_one_line() -> None:
    with pytest.raises(SocleError, match=r"^essai: second$"):
        process.run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"], doing="essai")
    with pytest.raises(SocleError, match=r"^essai: no-such-command is not installed$"):
        process.run(["no-such-command"], doing="essai")


def test_a_failed_long_command_says_why_and_where_its_log_is(tmp_path: Path) -> None:
    script = "echo working; echo 'E: Unable to locate package absent'; echo leaving; exit 100"
    with pytest.raises(SocleError) as told:
        process.run_logged(["sh", "-c", script], tmp_path / "log", doing="packages of ctl1")
    assert str(told.value) == f"packages of ctl1: Unable to locate package absent; see {tmp_path}/log"


def test_a_disk_whose_layer_is_gone_says_so(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "ctl1")
    disk.folder.mkdir()
    disk.record((tmp_path / "gone",), ("sudo",))
    with pytest.raises(
        SocleError, match=r"ctl1: the packages under the node's disk are gone .*socle lab reset"
    ):
        disk.overlay()


def test_only_settings_of_the_way_to_the_mirror_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    dump = """Acquire "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::Languages:: "none";
Acquire::IndexTargets::deb::Packages::MetaKey "x";
Acquire::Check-Date "false";
Acquire::cdrom::mount "/media/cdrom/";
"""
    monkeypatch.setattr(build, "run", lambda *_, **__: dump)
    assert build.acquire_settings().splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::Check-Date "false";',
    ]
