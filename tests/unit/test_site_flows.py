"""The flow matrix: what the firewall, the port scan and the auditor's table are made of."""

from __future__ import annotations

import pytest

from socle import catalogue
from socle.paths import project_root
from socle.site import load
from socle.site.flows import ANYWHERE, Flow, flows, node_rules

CATALOGUE = catalogue.load()
LAB = load(project_root() / "inventories/lab")
GIP = load(project_root() / "inventories/modele-gip")
SITES = pytest.mark.parametrize("site", [LAB, GIP], ids=["lab", "modele-gip"])


def matrix(site=LAB) -> dict[str, Flow]:  # type: ignore[no-untyped-def]
    return {flow.name: flow for flow in flows(site, CATALOGUE)}


@SITES
def test_every_listener_of_every_component_is_a_flow(site) -> None:  # type: ignore[no-untyped-def]
    present = {name for host in site.hosts.values() for name in CATALOGUE.of_groups(host.groups)}
    alone = {  # Between controllers, of which the lab has one: a host needs no leave to call itself.
        f"{component}.{name}"
        for component in present
        for name, listener in CATALOGUE.components[component].listeners.items()
    } - set(matrix(site))
    assert not alone


def test_addresses_of_both_ends_come_from_the_site() -> None:
    found = matrix()
    assert found["base.ssh"].sources == ("10.77.0.1/32",)
    assert found["nova_compute.console"].sources == ("10.77.0.11/32",)
    assert found["nova_compute.console"].destinations == ("10.77.0.21/32", "10.77.0.22/32")
    assert found["nova_compute.console"].ports == "5900-5999"
    assert found["keystone.api@api"].sources == (ANYWHERE,)
    assert found["keystone.api@api"].destinations == ("10.77.1.10/32",)
    assert found["ceph.monitor"].destinations == ("10.77.2.31/32",)


def test_only_front_ends_of_the_api_zone_are_for_everybody() -> None:
    open_to_all = {flow.zone for flow in flows(GIP, CATALOGUE) if ANYWHERE in flow.sources}
    assert open_to_all == {"api"}


def test_no_node_may_call_what_no_file_names() -> None:
    named = {str(address) for address in (*GIP.settings.dns, *GIP.settings.ntp)}
    named |= {str(prefix.network_address) for prefix in GIP.settings.mirror.addresses}
    outside = [flow for flow in flows(GIP, CATALOGUE) if flow.zone == "outside"]
    assert {end.removesuffix("/32") for flow in outside for end in flow.destinations} == named


def test_a_lone_controller_advertises_to_the_group_and_several_to_each_other() -> None:
    assert matrix(LAB)["haproxy.vrrp"].destinations == ("224.0.0.18/32", "224.0.0.22/32")
    assert matrix(GIP)["haproxy.vrrp"].destinations == matrix(GIP)["haproxy.vrrp"].sources
    assert "haproxy.membership" not in matrix(GIP)


@SITES
def test_what_one_node_lets_out_another_lets_in(site) -> None:  # type: ignore[no-untyped-def]
    found = flows(site, CATALOGUE)
    rules = {name: node_rules(site, found, host) for name, host in site.hosts.items()}
    owner = {f"{a}/32": name for name, host in site.hosts.items() for a in host.addresses.values()}
    for name, host in site.hosts.items():
        own = {f"{address}/32" for address in host.addresses.values()}
        for rule in rules[name]["out"]:
            for there in rule["addresses"]:
                if there in owner:
                    lets_in = [r for r in rules[owner[there]]["in"] if r["name"] == rule["name"]]
                    assert [r for r in lets_in if there in r["to"] and own & set(r["addresses"])], (
                        name,
                        rule,
                    )


def test_a_node_answers_in_the_zone_of_the_flow_and_nowhere_else() -> None:
    found = flows(LAB, CATALOGUE)
    inside = node_rules(LAB, found, LAB.hosts["sto1"])["in"]
    assert {(rule["name"], rule["interface"]) for rule in inside} == {
        ("base.ssh", "admin"),
        ("ceph.data", "storage"),
        ("ceph.monitor", "storage"),
    }
    tunnel = [r for r in node_rules(LAB, found, LAB.hosts["cmp1"])["in"] if r["name"] == "ovn_chassis.geneve"]
    assert [(rule["interface"], rule["tracked"]) for rule in tunnel] == [("", False)]
