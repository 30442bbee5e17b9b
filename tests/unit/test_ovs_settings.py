"""The module of Open vSwitch: what it reads as ovs-vsctl prints it, and which commands follow."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MODULES = Path(__file__).parents[2] / "plugins/modules"

# As `ovs-vsctl --format=json` prints three tables: one JSON document a line.
PRINTED = """\
{"data":[[["map",[["ovn-encap-type","geneve"],["system-id","cmp1"],["old","x"]]],["map",[]]]],\
"headings":["external_ids","other_config"]}
{"data":[["br-int","netdev","secure",["set",[["uuid","p1"],["uuid","p2"]]]],["br-ex","",["set",[]],["uuid","p3"]]],\
"headings":["name","datapath_type","fail_mode","ports"]}
{"data":[[["uuid","p1"],"br-int"],[["uuid","p2"],"tap1"],[["uuid","p3"],"br-ex"]],"headings":["_uuid","name"]}
"""


def module_named(name: str) -> ModuleType:
    """A module of ours, imported as a library."""
    spec = importlib.util.spec_from_file_location(name, MODULES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ovs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with a switch that has two bridges and a guest's port."""
    module = module_named("ovs_settings")
    monkeypatch.setattr(module, "vsctl", lambda *_arguments: PRINTED)
    return module


def commands(ovs: Any, **wanted: Any) -> list[str]:
    """What would be run to reach a state."""
    bridges = [
        {"datapath_type": "system", "fail_mode": "standalone", "ports": [], **bridge}
        for bridge in wanted.pop("bridges", [])
    ]
    parameters = {"external_ids": {}, "other_config": {}, "bridges": bridges, **wanted}
    return [" ".join(command) for command, _description in ovs.differences(parameters)]


def test_what_is_there_already_needs_nothing(ovs: Any) -> None:
    bridge = {"name": "br-int", "datapath_type": "netdev", "fail_mode": "secure", "ports": ["tap1"]}
    ids = {"ovn-encap-type": "geneve", "system-id": "cmp1"}
    assert commands(ovs, external_ids=ids, bridges=[bridge, {"name": "br-ex"}]) == []


def test_a_value_with_commas_and_colons_is_one_value(ovs: Any) -> None:
    assert commands(ovs, external_ids={"ovn-remote": "tcp:10.0.0.1:6642,tcp:10.0.0.2:6642"}) == [
        'set Open_vSwitch . external_ids:ovn-remote="tcp:10.0.0.1:6642,tcp:10.0.0.2:6642"'
    ]


def test_an_empty_value_removes_a_key_once(ovs: Any) -> None:
    assert commands(ovs, external_ids={"old": "", "never": ""}) == ["remove Open_vSwitch . external_ids old"]


def test_a_missing_bridge_comes_with_its_ports(ovs: Any) -> None:
    assert commands(ovs, bridges=[{"name": "br-phy", "datapath_type": "netdev", "ports": ["overlay"]}]) == [
        "add-br br-phy -- set Bridge br-phy datapath_type=netdev fail_mode=standalone",
        "add-port br-phy overlay",
    ]


def test_a_bridge_of_the_wrong_kind_is_corrected_and_its_port_moved(ovs: Any) -> None:
    assert commands(ovs, bridges=[{"name": "br-ex", "datapath_type": "netdev", "ports": ["tap1"]}]) == [
        "set Bridge br-ex datapath_type=netdev",
        "del-port br-int tap1 -- add-port br-ex tap1",
    ]


@pytest.mark.parametrize(
    ("controllers", "expected"),
    [
        (1, "{scheme}://{username}:{password}@{hostname}:{port}/{path}"),
        (
            2,
            "{scheme}://{username1}:{password1}@{hostname1}:{port1},{username2}:{password2}@{hostname2}:{port2}/{path}",
        ),
    ],
)
def test_cells_are_mapped_by_templates_that_hold_no_password(controllers: int, expected: str) -> None:
    assert module_named("nova_cells").transport(controllers) == expected
