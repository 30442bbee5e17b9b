"""Every API answers through its TLS front end, certified by the site, with TLS 1.2 or later."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from socle.catalogue import load

PUBLISHED = [
    (component, name, listener, zone)
    for component, entry in load().components.items()
    for name, listener in entry.listeners.items()
    if listener.front and listener.front.tls
    for zone in listener.front.zones
]
NAMES = [f"{component}-{name}-{zone}" for component, name, _listener, zone in PUBLISHED]


def host(lab: Any, zone: str) -> tuple[str, str]:
    shared = lab.site.endpoints.internal if zone == "admin" else lab.site.endpoints.public
    return shared.name, str(shared.address)


def handshake(lab: Any, zone: str, port: int, context: ssl.SSLContext) -> str | None:
    name, address = host(lab, zone)
    with (
        socket.create_connection((address, port), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        return tls.version()


@pytest.mark.parametrize(("component", "name", "listener", "zone"), PUBLISHED, ids=NAMES)
def test_the_end_point_answers_over_tls(
    lab: Any, component: str, name: str, listener: Any, zone: str
) -> None:
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    version = handshake(lab, zone, listener.front_port, context)
    assert version in {"TLSv1.2", "TLSv1.3"}
    label, _address = host(lab, zone)
    path = listener.health or "/"
    answer = lab.get(f"https://{label}:{listener.front_port}{path}")
    assert answer


@pytest.mark.parametrize(("component", "name", "listener", "zone"), PUBLISHED[:1], ids=NAMES[:1])
def test_tls_1_1_is_refused(lab: Any, component: str, name: str, listener: Any, zone: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        handshake(lab, zone, listener.front_port, context)


def test_a_certificate_of_another_authority_would_be_noticed(lab: Any) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(lab, "api", load()["keystone"].listeners["api"].front_port, ssl.create_default_context())


def test_every_published_service_is_in_keystones_catalogue(lab: Any, cloud: Any, components: Any) -> None:
    expected = {
        entry.identity.service.type
        for entry in components.components.values()
        if entry.identity and entry.identity.service
    }
    assert expected <= {service.type for service in cloud.identity.services()}
    for endpoint in cloud.identity.endpoints():
        assert endpoint.url.startswith("https://"), endpoint.url


def test_every_agent_is_alive(lab: Any, cloud: Any) -> None:
    computes = {h.name for h in lab.site.group("computes")}
    hypervisors = [s for s in cloud.compute.services(binary="nova-compute") if s.state == "up"]
    assert {s.host for s in hypervisors} == computes
    alive = {agent.host for agent in cloud.network.agents() if agent.is_alive}
    assert computes <= {name.split(".")[0] for name in alive}
    volumes = [s for s in cloud.block_storage.services() if s.binary == "cinder-volume"]
    assert volumes
    assert all(s.state == "up" for s in volumes)
