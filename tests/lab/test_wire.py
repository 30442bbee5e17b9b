"""On the nodes' own cables, while the cloud works: no marker in clear, nothing that anybody could read."""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from socle.lab.plan import veth_name
from tests.lab.test_servers import ask, floating
from tests.lab.wire import ARP, IPV6, TCP, UDP, Capture

NODES_ZONES = ("admin", "api", "storage")
"""Zones of the cloud itself; in the others the guests speak, each as it chose."""
IN_CLEAR = {
    (1, 0): "ICMP",
    (2, 0): "IGMP: who holds the shared addresses is in VRRP's group",
    (112, 0): "VRRP: who holds the shared addresses",
}
"""IP protocols without encryption, by number and port: they carry nobody's data."""
IN_CLEAR_BELOW_IP = {ARP, IPV6}
"""Neighbours' addresses: ARP, and neighbour discovery of IPv6."""


@pytest.fixture(scope="module")
def marker() -> bytes:
    """A word that nothing says by chance."""
    return f"socle-wire-{secrets.token_hex(16)}".encode()


@pytest.fixture(scope="module")
def capture(lab: Any, cloud: Any, marker: bytes) -> Capture:
    """A run of everything that carries data from node to node, with the marker in all of it."""
    cables = [
        veth_name(lab.site.name, host.name, zone)
        for host in lab.site.hosts.values()
        for zone in NODES_ZONES
        if zone in host.addresses
    ]
    with Capture(cables) as running:
        for work in (users, networks, volumes, keys, consoles, guests):
            work(lab, cloud, marker.decode())
        lab.socle("deploy")
    return running


def users(_lab: Any, cloud: Any, marker: str) -> None:
    """Keystone, the database, the cache: a password."""
    user = cloud.identity.create_user(name="test-wire", password=f"{marker}-Aa1!", description=marker)
    try:
        assert cloud.identity.get_user(user.id).description == marker
    finally:
        cloud.identity.delete_user(user)


def networks(_lab: Any, cloud: Any, marker: str) -> None:
    """Neutron and OVN's databases, up to every hypervisor."""
    network = cloud.network.create_network(name=marker)
    try:
        cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.250.1.0/28", name=marker)
        cloud.network.create_port(network_id=network.id, name=marker)
    finally:
        for port in cloud.network.ports(network_id=network.id):
            cloud.network.delete_port(port)
        cloud.network.delete_network(network)


def volumes(_lab: Any, cloud: Any, marker: str) -> None:
    """Cinder and the message queue."""
    volume = cloud.block_storage.create_volume(size=1, name=marker, description=marker)
    try:
        cloud.block_storage.wait_for_status(volume, "available", failures=["error"], interval=1, wait=90)
    finally:
        cloud.block_storage.delete_volume(volume)


def keys(_lab: Any, cloud: Any, marker: str) -> None:
    """Barbican."""
    secret = cloud.key_manager.create_secret(name=marker, payload=marker, payload_content_type="text/plain")
    cloud.key_manager.delete_secret(secret)


def consoles(lab: Any, cloud: Any, _marker: str) -> None:
    """The way from a browser to a guest's screen."""
    server = next(s for s in cloud.compute.servers(all_projects=True) if s.status == "ACTIVE")
    width, height = screen(lab, cloud, server)
    assert width > 0
    assert height > 0


def guests(lab: Any, cloud: Any, marker: str) -> None:
    """A disk of a guest, on Ceph."""
    for server in cloud.compute.servers(all_projects=True):
        if any(a.device == "/dev/vdb" for a in cloud.compute.volume_attachments(server)):
            assert ask(lab, floating(server), "volume", device="vdb", write=marker) == marker
            return
    pytest.fail("no server has a volume")


def screen(lab: Any, cloud: Any, server: Any) -> tuple[int, int]:
    """Size of a guest's screen, asked as a browser does: WebSocket (RFC 6455), and in it RFB (RFC 6143)."""
    console = cloud.compute.create_console(server, console_type="novnc")
    url = urlsplit(console["url"])
    token = parse_qs(urlsplit(parse_qs(url.query)["path"][0]).query)["token"][0]
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    connection = context.wrap_socket(
        socket.create_connection((url.hostname, url.port), 20), server_hostname=url.hostname
    )
    with connection:
        connection.settimeout(30)
        connection.sendall(
            f"GET /websockify?token={token} HTTP/1.1\r\nHost: {url.netloc}\r\nOrigin: https://{url.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {secrets.token_urlsafe(16)[:22]}==\r\n"
            f"Sec-WebSocket-Protocol: binary\r\nCookie: token={token}\r\n\r\n".encode()
        )
        stream = connection.makefile("rb")
        assert b" 101 " in stream.readline()
        while stream.readline().strip():
            pass
        said = messages(stream)
        rfb = received(said, 12)
        assert rfb.startswith(b"RFB 003.008")
        send(connection, rfb)
        assert received(said, 2) == b"\x01\x01", "the proxy offers the browser, which came over TLS, no other"
        send(connection, b"\x01")
        assert received(said, 4) == b"\0\0\0\0"
        send(connection, b"\x01")
        width, height = struct.unpack("!HH", received(said, 4))
    return width, height


def messages(stream: Any) -> Iterator[int]:
    """Bytes of the WebSocket's messages, one after the other."""
    while head := stream.read(2):
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", stream.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", stream.read(8))[0]
        yield from stream.read(size)


def received(said: Iterator[int], count: int) -> bytes:
    return bytes(next(said) for _ in range(count))


def send(connection: Any, text: bytes) -> None:
    mask = secrets.token_bytes(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
    connection.sendall(bytes([0x82, 0x80 | len(text)]) + mask + masked)


def test_the_capture_missed_nothing(capture: Capture) -> None:
    assert capture.frames
    assert capture.lost == 0


def test_no_marker_passes_in_clear(capture: Capture, marker: bytes) -> None:
    found = {cable for cable, frame in capture.frames if marker in frame}
    assert found == set()


def test_a_marker_in_clear_would_be_seen(lab: Any, marker: bytes) -> None:
    """The same capture, on the guests' own cable, where the guest's page goes as the tenant wants it."""
    gateways = [h.name for h in lab.site.hosts.values() if "gateways" in h.groups]
    with Capture([veth_name(lab.site.name, name, "provider") for name in gateways]) as running:
        servers = lab.socle("--json", "tenant", "show").stdout
        address = next(word.strip('", ') for word in servers.split() if word.startswith('"10.77.4.'))
        ask(lab, address, "fetch", url=f"http://127.0.0.1/{marker.decode()}")
    assert any(marker in frame for _cable, frame in running.frames)
    assert "clear" in {conversation.kind for conversation in running.conversations()}


def test_every_conversation_is_encrypted_from_its_first_word(capture: Capture) -> None:
    conversations = capture.conversations()
    kinds = {conversation.kind for conversation in conversations}
    clear = {f"{c.caller} to {c.called}:{c.port}" for c in conversations if c.kind == "clear"}
    assert clear == set()
    # Each of these was part of the work. A lone controller asks its database without a cable.
    assert kinds >= {"tls", "ssh", "vencrypt"}


def test_what_is_not_tcp_is_on_the_list(capture: Capture) -> None:
    others = set()
    for packet in capture.packets():
        if packet.protocol != TCP:
            port = struct.unpack("!H", packet.body[2:4])[0] if packet.protocol == UDP else 0
            others.add((packet.protocol, port))
    assert others <= set(IN_CLEAR)
    assert capture.other_kinds() <= IN_CLEAR_BELOW_IP
