"""What a collectivity gets: a server that answers, alone on its wire, volumes that keep their content."""

from __future__ import annotations

import re
import secrets
import time
import urllib.error
import urllib.parse
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from socle.catalogue import Catalogue
from socle.lab.plan import veth_name
from stacks.tenant.plan import domain_name
from tests.lab.guests import starts_from
from tests.lab.logins import on_python
from tests.lab.wire import Capture
from tests.waiting import eventually


def facts(lab: Any, address: str) -> dict[str, str]:
    """What the guest behind a floating IP says of itself."""
    lines = lab.get(f"http://{address}/instance.txt").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def has_metadata(known: dict[str, str]) -> bool:
    """Whether a guest that says this of itself has its metadata."""
    return known.get("metadata") == "received"


def ask(lab: Any, address: str, script: str, **query: str) -> str:
    """Answer of a script of the guest, or its error's text."""
    url = f"http://{address}/cgi-bin/{script}?{urllib.parse.urlencode(query)}"
    try:
        text: str = lab.get(url, timeout=30).strip()
    except urllib.error.HTTPError as error:
        text = error.read().decode().strip()
    return text


def floating(server: Any) -> str:
    return next(
        a["addr"] for net in server.addresses.values() for a in net if a["OS-EXT-IPS:type"] == "floating"
    )


def fixed(server: Any) -> str:
    return next(
        a["addr"] for net in server.addresses.values() for a in net if a["OS-EXT-IPS:type"] == "fixed"
    )


def node_of(server: Any) -> str:
    """The hypervisor that a server runs on now."""
    return str(server.hypervisor_hostname.split(".")[0])


@pytest.fixture(scope="module")
def servers(lab: Any, cloud: Any) -> list[Any]:
    """The public servers that the lab's tenants asked for."""
    domains = {domain_name(siren) for siren, tenant in lab.site.tenants.items() if tenant.servers}
    projects = {
        p.id
        for d in cloud.identity.domains()
        if d.name in domains
        for p in cloud.identity.projects(domain_id=d.id)
    }
    found = [s for s in cloud.compute.servers(all_projects=True) if s.project_id in projects]
    assert len(found) == sum(len(t.servers) for t in lab.site.tenants.values()), [s.name for s in found]
    return found


def test_the_page_answers_at_the_floating_ip(lab: Any, servers: list[Any]) -> None:
    for server in servers:
        assert server.status == "ACTIVE"
        page = eventually(partial(lab.get, f"http://{floating(server)}/"))
        assert "Ce serveur fonctionne" in page


def test_the_guest_has_its_address_by_dhcp_and_its_metadata(lab: Any, servers: list[Any]) -> None:
    for server in servers:
        known = eventually(partial(facts, lab, floating(server)), has_metadata)
        assert known["address"] == fixed(server)
        assert known["instance"] == server.id


def test_two_tenants_cannot_reach_each_other_on_the_wire(lab: Any, servers: list[Any]) -> None:
    first, second = servers
    # The means of the test work: a guest reaches its own page by the same way.
    own = ask(lab, floating(first), "fetch", url="http://127.0.0.1/instance.txt")
    assert first.id in own
    for here, there in ((first, second), (second, first)):
        answer = ask(lab, floating(here), "fetch", url=f"http://{fixed(there)}/instance.txt")
        assert there.id not in answer
        assert "cannot be reached" in answer


def test_a_port_that_the_file_does_not_name_is_closed(lab: Any, servers: list[Any]) -> None:
    for server in servers:
        with pytest.raises(OSError, match=r"timed out|unreachable"):
            lab.get(f"http://{floating(server)}:8080/", timeout=4)


def test_a_guests_port_that_goes_down_comes_up_again(lab: Any, cloud: Any, servers: list[Any]) -> None:
    server = servers[0]
    port = next(cloud.network.ports(device_id=server.id))
    tap = f"tap{port.id[:11]}"
    node = node_of(server)
    assert "UP" in lab.on(node, f"ip -o link show {tap}")
    lab.on(node, f"ip link set {tap} down")
    eventually(lambda: "LOWER_UP" in lab.on(node, f"ip -o link show {tap}"), seconds=15)
    assert "Ce serveur fonctionne" in eventually(partial(lab.get, f"http://{floating(server)}/"))


def test_a_volume_keeps_what_was_written_after_a_detach(
    lab: Any, cloud: Any, as_tenant: Any, servers: list[Any]
) -> None:
    """By the tenant itself: its key opens to nobody else, be it the platform's administrator."""
    server = servers[0]
    address = floating(server)
    administrator, cloud = cloud, tenant_of(lab, cloud, as_tenant, server)
    attachment = next(a for a in cloud.compute.volume_attachments(server) if a.device == "/dev/vdb")
    marker = f"socle-{int(time.time())}"
    assert ask(lab, address, "volume", device="vdb", write=marker) == marker
    volume = cloud.block_storage.get_volume(attachment.volume_id)
    cloud.compute.delete_volume_attachment(server, attachment.volume_id)
    cloud.block_storage.wait_for_status(volume, "available", failures=["error"], interval=1, wait=90)
    look = partial(ask, lab, address, "volume", device="vdb")
    eventually(look, lambda answer: answer == "no disk vdb")
    # Cinder has its volume back before Nova has forgotten the attachment, and Nova takes no second one.
    eventually(lambda: volume.id not in {a.volume_id for a in cloud.compute.volume_attachments(server)})
    administrator.compute.create_volume_attachment(server, volume_id=volume.id)
    eventually(lambda: volume.id not in {a.volume_id for a in cloud.compute.volume_attachments(server)})
    cloud.block_storage.wait_for_status(volume, "available", failures=["error"], interval=1, wait=30)
    cloud.compute.create_volume_attachment(server, volume_id=volume.id)
    cloud.block_storage.wait_for_status(volume, "in-use", failures=["error"], interval=1, wait=90)
    eventually(look, lambda answer: answer == marker)


def tenant_of(lab: Any, cloud: Any, as_tenant: Any, server: Any) -> Any:
    """The connection of the tenant, and of its environment, that a server belongs to."""
    project = cloud.identity.get_project(server.project_id)
    domain = cloud.identity.get_domain(project.domain_id).name
    siren = next(siren for siren in lab.site.tenants if domain_name(siren) == domain)
    return as_tenant(siren, project.name)


@pytest.fixture(scope="module")
def neighbours(lab: Any, cloud: Any) -> Iterator[list[Any]]:
    """Two guests of one network, one on each compute node, with floating IPs; removed afterwards."""
    project = cloud.current_project_id
    made: dict[str, Any] = {"servers": [], "addresses": []}
    image = cloud.image.find_image("socle-web", ignore_missing=False)
    flavor = min(cloud.compute.flavors(), key=lambda f: (f.ram, f.vcpus))
    outside = next(n for n in cloud.network.networks(is_router_external=True))
    network = cloud.network.create_network(name="test-geneve", project_id=project)
    subnet = cloud.network.create_subnet(
        network_id=network.id, ip_version=4, cidr="10.250.0.0/28", name="test-geneve", project_id=project
    )
    router = cloud.network.create_router(
        name="test-geneve", external_gateway_info={"network_id": outside.id}, project_id=project
    )
    cloud.network.add_interface_to_router(router, subnet_id=subnet.id)
    group = cloud.network.create_security_group(name="test-geneve", project_id=project)
    # A new group lets nothing out on this platform, not even the question for an address.
    cloud.network.create_security_group_rule(security_group_id=group.id, direction="egress", ethertype="IPv4")
    cloud.network.create_security_group_rule(
        security_group_id=group.id,
        direction="ingress",
        ethertype="IPv4",
        protocol="tcp",
        port_range_min=80,
        port_range_max=80,
    )
    try:
        for host in ("cmp1", "cmp2"):
            port = cloud.network.create_port(
                network_id=network.id, security_groups=[group.id], name=f"test-{host}"
            )
            server = cloud.compute.create_server(
                name=f"test-{host}",
                block_device_mapping=starts_from(image),
                flavor_id=flavor.id,
                networks=[{"port": port.id}],
                host=host,
            )
            made["servers"].append(server)
            made["addresses"].append(cloud.network.create_ip(floating_network_id=outside.id, port_id=port.id))
        yield [cloud.compute.wait_for_server(s, wait=180) for s in made["servers"]]
    finally:
        for server in made["servers"]:
            cloud.compute.delete_server(server, force=True)
            cloud.compute.wait_for_delete(server, interval=1, wait=90)
        for address in made["addresses"]:
            cloud.network.delete_ip(address)
        for port in cloud.network.ports(network_id=network.id, device_owner=""):
            cloud.network.delete_port(port)
        for port in list(cloud.network.ports(network_id=network.id, name="test-cmp1")) + list(
            cloud.network.ports(network_id=network.id, name="test-cmp2")
        ):
            cloud.network.delete_port(port)
        cloud.network.remove_interface_from_router(router, subnet_id=subnet.id)
        cloud.network.delete_router(router)
        cloud.network.delete_network(network)
        cloud.network.delete_security_group(group)


def test_guests_on_two_hypervisors_reach_each_other_over_geneve(
    lab: Any, cloud: Any, neighbours: list[Any]
) -> None:
    first, second = (cloud.compute.get_server(s.id) for s in neighbours)
    assert {node_of(first), node_of(second)} == {"cmp1", "cmp2"}
    address = next(ip.floating_ip_address for ip in cloud.network.ips(fixed_ip_address=fixed(first)))
    known = eventually(partial(facts, lab, address), has_metadata, seconds=120)
    assert known["instance"] == first.id
    fetch = partial(ask, lab, address, "fetch", url=f"http://{fixed(second)}/instance.txt")
    eventually(fetch, lambda answer: second.id in answer, seconds=120)
    before, since = geneve_packets(lab), time.monotonic()
    for _ in range(FETCHES):
        assert second.id in fetch()
    # The hypervisors watch each other through the same tunnel, twice a second at most.
    others = 2 * (time.monotonic() - since + 1)
    assert geneve_packets(lab) - before > others + FETCHES * PACKETS


FETCHES = 20
PACKETS = 4
"""The fewest packets with which one end of a TCP connection opens it, says something and closes it."""


def geneve_packets(lab: Any) -> int:
    """Packets that left cmp1 by its tunnel to cmp2, as counted now; OVSDB tells it seconds later."""
    shown = lab.on("cmp1", "ovs-ofctl -O OpenFlow15 dump-ports br-int ovn-cmp2-0")
    return int(re.findall(r"tx pkts=(\d+)", shown)[0])


def test_a_guest_moves_while_it_runs_and_its_memory_is_not_to_be_read_on_the_way(
    lab: Any, cloud: Any, components: Catalogue, neighbours: list[Any]
) -> None:
    server = cloud.compute.get_server(neighbours[0].id)
    there = cloud.compute.get_server(neighbours[1].id)
    address = next(ip.floating_ip_address for ip in cloud.network.ips(fixed_ip_address=fixed(server)))
    marker = f"socle-{secrets.token_hex(16)}"
    eventually(partial(ask, lab, address, "fetch", url=f"http://127.0.0.1/{marker}"), seconds=60)
    assert remembers(lab, server, marker)
    cables = [veth_name(lab.site.name, node, "admin") for node in ("cmp1", "cmp2")]
    with Capture(cables) as running:
        cloud.compute.live_migrate_server(server, host=there.compute_host, block_migration=False)
        moved = eventually(
            lambda: cloud.compute.get_server(server.id),
            lambda s: s.status != "MIGRATING" and not s.task_state,
            seconds=180,
        )
    assert (moved.status, node_of(moved)) == ("ACTIVE", node_of(there))
    assert running.lost == 0
    listeners = components["nova_compute"].listeners
    control, stream = listeners["libvirt"], listeners["migration"]
    ports = {control.port, *range(stream.port, (stream.last_port or stream.port) + 1)}
    ways = {(c.port, c.kind) for c in running.conversations() if c.port in ports}
    assert {kind for _port, kind in ways} == {"tls"}, ways
    assert len(ways) > 1, "libvirt's word and the memory itself go by ports of their own"
    assert not [cable for cable, frame in running.frames if marker.encode() in frame]
    # It was moved, not started again.
    assert remembers(lab, moved, marker)
    assert eventually(partial(facts, lab, address), has_metadata, seconds=60)["instance"] == server.id


def remembers(lab: Any, server: Any, word: str) -> bool:
    """Whether a word is in a guest's memory, read from its QEMU on the hypervisor."""
    script = (
        "import re, subprocess\n"
        f"pid = subprocess.check_output(['pgrep', '-f', 'qemu.*{server.id}'], text=True).split()[0]\n"
        "maps = open(f'/proc/{pid}/maps').read()\n"
        "found = False\n"
        "with open(f'/proc/{pid}/mem', 'rb', 0) as memory:\n"
        "    for start, end in re.findall('^(\\w+)-(\\w+) rw[-]', maps, re.MULTILINE):\n"
        "        memory.seek(int(start, 16))\n"
        "        for _ in range(int(start, 16), int(end, 16), 1 << 24):\n"
        f"            found = found or b'{word}' in memory.read(1 << 24)\n"
        "print(found)\n"
    )
    return on_python(lab, node_of(server), script) == "True"
