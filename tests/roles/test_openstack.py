"""What is particular to one role: Fernet keys, Ceph's pools and rights, chassis of OVN, libvirt, Horizon."""

from __future__ import annotations

import base64

from socle.deploy.described import Role
from tests.roles.lab import CATALOGUE, SITE, facts, feed, host, on, output
from tests.roles.test_files import variables

CEPH = "timeout 20 ceph --format json"
POOLS = {"volumes", "images", "vms"}


@on("controllers")
def test_fernet_keys_are_keys_and_nobody_elses(node: str) -> None:
    for folder in ("fernet-keys", "credential-keys"):
        path = f"/etc/keystone/{folder}"
        assert host(node).file(path).mode == 0o700
        names = output(node, f"ls -A {path}").split()
        highest = max(map(int, names))
        assert set(names) <= {"0", str(highest - 1), str(highest)}
        assert {"0", str(highest)} <= set(names)
        keys = {output(node, f"cat {path}/{name}").strip() for name in names}
        assert len(keys) == len(names)
        assert all(len(base64.urlsafe_b64decode(key)) == 32 for key in keys)


@on("storage")
def test_ceph_is_well(node: str) -> None:
    status = facts(node, f"{CEPH} status")
    assert status["health"]["status"] == "HEALTH_OK", status["health"]["checks"]
    osds = sum(len(h.osds) or len(SITE.settings.storage.osds) for h in SITE.group("storage"))
    assert (
        status["osdmap"]["num_osds"]
        == status["osdmap"]["num_up_osds"]
        == status["osdmap"]["num_in_osds"]
        == osds
    )
    assert [state["state_name"] for state in status["pgmap"]["pgs_by_state"]] == ["active+clean"]


@on("storage")
def test_ceph_has_its_pools_with_their_copies(node: str) -> None:
    pools = {pool["pool_name"]: pool for pool in facts(node, f"{CEPH} osd pool ls detail")}
    assert {name for name in pools if not name.startswith(".")} == POOLS
    copies = min(SITE.settings.storage.replicas, len(SITE.group("storage")))
    for name in POOLS:
        assert pools[name]["size"] == copies
        assert list(pools[name]["application_metadata"]) == ["rbd"]


@on("storage")
def test_ceph_asks_everybody_for_a_key(node: str) -> None:
    for side in ("cluster", "service", "client"):
        assert output(node, f"timeout 20 ceph config show mon.{node} auth_{side}_required").strip() == "cephx"


@on("controllers")
def test_a_service_reaches_its_own_pool_only(node: str) -> None:
    glance = "timeout 20 rados --id glance --pool"
    output(node, f"{glance} images ls")
    refused = host(node).run(f"{glance} vms ls")
    assert refused.rc != 0
    assert "not permitted" in refused.stderr
    monitors = host(node).run("timeout 20 ceph --id cinder auth ls")
    assert monitors.rc != 0
    assert "EACCES" in monitors.stderr


@on("controllers")
def test_ovn_knows_every_chassis(node: str) -> None:
    found = facts(node, "ovn-sbctl --timeout=10 --format=json --columns=name,hostname list Chassis")
    members = {h.name for h in SITE.hosts.values() if {"computes", "gateways"} & set(h.groups)}
    assert {name for name, _hostname in found["data"]} == members
    assert all(name == hostname for name, hostname in found["data"])


@on("controllers")
def test_ovns_databases_are_a_cluster(node: str) -> None:
    for base, control in (("OVN_Northbound", "ovnnb"), ("OVN_Southbound", "ovnsb")):
        status = output(node, f"ovn-appctl -t /run/ovn/{control}_db.ctl cluster/status {base}")
        assert "Status: cluster member" in status
        servers = [line for line in status.split("Servers:")[1].splitlines() if " at ssl:" in line]
        assert len(servers) == len(SITE.group("controllers"))


@on("computes")
def test_the_switch_is_what_the_role_says(node: str) -> None:
    role = Role("ovn_chassis")
    for key, wanted in variables().render(node, role, "ovn_chassis_external_ids").items():
        found = (
            output(node, f"ovs-vsctl --if-exists get Open_vSwitch . external_ids:{key}").strip().strip('"')
        )
        assert found == wanted, key
    for bridge in variables().render(node, role, "ovn_chassis_bridges"):
        kind = output(node, f"ovs-vsctl get bridge {bridge['name']} datapath_type").strip().strip('"')
        assert kind == bridge["datapath_type"]
        assert set(bridge.get("ports", [])) <= set(
            output(node, f"ovs-vsctl list-ports {bridge['name']}").split()
        )


@on("computes")
def test_the_chassis_speaks_with_ovn_and_takes_geneve(node: str) -> None:
    assert output(node, "ovn-appctl -t ovn-controller connection-status").strip() == "connected"
    port = CATALOGUE["ovn_chassis"].listeners["geneve"].port
    if not SITE.hosts[node].capabilities.ovs_kernel_datapath:
        assert f"genev_sys_{port}" in output(node, "ovs-appctl tnl/ports/show")
        bridge = output(node, "ip -oneline -4 address show br-phy")
        assert f" {SITE.hosts[node].addresses['overlay']}/" in bridge


@on("computes")
def test_libvirt_has_cephs_key_and_no_network_of_its_own(node: str) -> None:
    virsh = "virsh --connect qemu:///system --quiet"
    assert output(node, f"{virsh} net-list --name").strip() == ""
    uuid = variables().render(node, Role("nova_compute"), "nova_compute_secret")
    listed = output(node, f"{virsh} secret-list").split()
    assert uuid in listed
    assert "client.cinder" in listed


@on("computes")
def test_guests_run_as_no_root(node: str) -> None:
    users = set(feed(node, "ps -o user= -C qemu-system-x86 | sort -u", "").split())
    assert "root" not in users


@on("controllers")
def test_horizon_hides_its_insides_and_closes_its_cookies(node: str) -> None:
    web = CATALOGUE["horizon"].listeners["web"]
    name, at = SITE.endpoints.public.name, SITE.endpoints.public.address
    asked = f"--silent --include --resolve {name}:{web.front_port}:{at}"
    answer = output(node, f"curl {asked} --max-time 30 https://{name}:{web.front_port}{web.health}")
    cookies = [line.lower() for line in answer.splitlines() if line.lower().startswith("set-cookie:")]
    assert cookies
    assert all("; secure" in cookie for cookie in cookies)
    assert "strict-transport-security" in answer.lower()
    missing = output(node, f"curl {asked} --max-time 30 https://{name}:{web.front_port}/nowhere/")
    assert "Traceback" not in missing
    assert "DEBUG = True" not in missing


@on("controllers")
def test_the_cache_is_no_amplifier(node: str) -> None:
    assert "udp" not in output(
        node, "ss --no-header --listening --numeric --udp --processes | grep memcached; true"
    )
