"""Certificates of every host: of the site's authority, with closed keys, renewed by the host itself."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store

from socle import vault
from socle.catalogue.host_certificates import HostCertificate
from tests.roles.lab import CA_FILE, CATALOGUE, SITE, each_node, facts, feed, host, output
from tests.waiting import eventually

FOLDER = "/etc/socle/tls"
DAYS = 31
SHOWN_BY = {
    "endpoints": ("keystone", "api"),
    "proxy": ("keystone", "api"),
    "openbao": ("openbao", "api"),
    "mariadb": ("mariadb", "sql"),
    "rabbitmq": ("rabbitmq", "amqp"),
    "ovn": ("ovn", "south"),
    "libvirt": ("nova_compute", "libvirt"),
}
"""Component and listener that show a certificate."""
WANTED = [
    (certified.name, certificate)
    for certified in vault.place_of(SITE, CATALOGUE).hosts
    for certificate in certified.certificates
]
each_certificate = pytest.mark.parametrize(
    ("node", "wanted"), WANTED, ids=[f"{node}-{certificate.name}" for node, certificate in WANTED]
)


def chain(node: str, name: str) -> list[x509.Certificate]:
    """The certificate and its issuers but the root."""
    return x509.load_pem_x509_certificates(output(node, f"cat {FOLDER}/{name}.crt").encode())


def authority() -> x509.Certificate:
    """The site's root."""
    return x509.load_pem_x509_certificate(CA_FILE.read_bytes())


@each_certificate
def test_it_is_of_the_sites_authority(node: str, wanted: HostCertificate) -> None:
    leaf, *issuers = chain(node, wanted.name)
    assert issuers, "the root signs no certificate of a host itself"
    name = x509.DNSName(wanted.names[0])
    policy = PolicyBuilder().store(Store([authority()])).build_server_verifier(name)
    assert policy.verify(leaf, issuers)[-1] == authority()


@each_certificate
def test_it_has_exactly_its_names_and_a_short_life(node: str, wanted: HostCertificate) -> None:
    leaf = chain(node, wanted.name)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == set(wanted.names)
    found: set[IPv4Address | IPv6Address] = set(names.get_values_for_type(x509.IPAddress))  # type: ignore[arg-type]
    assert {str(address) for address in found} == set(wanted.addresses)
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert life.days <= DAYS
    assert leaf.not_valid_after_utc - datetime.now(UTC) > life / 3, "the host should have renewed it"
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


@each_certificate
def test_its_key_is_its_own_and_closed(node: str, wanted: HostCertificate) -> None:
    public = chain(node, wanted.name)[0].public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    private = load_pem_private_key(output(node, f"cat {FOLDER}/{wanted.name}.key").encode(), None)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert private.public_key().public_bytes(*form) == public.public_bytes(*form)
    group = host(node).user(wanted.owner).group
    for suffix in ("key", "pem"):
        file = host(node).file(f"{FOLDER}/{wanted.name}.{suffix}")
        assert (file.user, file.group, file.mode) == ("root", group, 0o640), file.path


@each_node
def test_the_timer_is_set(node: str) -> None:
    unit = CATALOGUE["certificates"].units[0]
    shown = output(node, f"systemctl show --property=NextElapseUSecRealtime --value {unit}")
    assert shown.strip() not in {"", "0"}
    login = host(node).file("/etc/socle/openbao-login.json")
    if facts(node, "cat /etc/socle/certificates.json")["certificates"]:
        assert (login.user, login.mode) == ("root", 0o600)


@each_node
def test_the_host_trusts_the_sites_authority(node: str) -> None:
    assert CA_FILE.read_text("utf-8").strip() in output(node, "cat /etc/ssl/certs/ca-certificates.crt")


@each_certificate
def test_the_host_renews_it_by_itself(node: str, wanted: HostCertificate) -> None:
    """The timer's unit, in its sandbox, issues what is missing, and the daemon then serves the new one."""
    before = chain(node, wanted.name)[0]
    path, unit = f"{FOLDER}/{wanted.name}.crt", "socle-certificates.service"
    output(node, f"mv {path} {path}.former")
    try:
        # systemd refuses a sixth start within ten seconds, and there are more certificates.
        output(node, f"systemctl reset-failed {unit}; systemctl start {unit}")
    finally:
        output(node, f"test -e {path} || mv {path}.former {path}; rm --force {path}.former")
    after = chain(node, wanted.name)[0]
    assert after.serial_number != before.serial_number
    for at, port in served(node, wanted):
        eventually(lambda at=at, port=port: shown(node, at, port) == after.serial_number, seconds=30)


def served(node: str, wanted: HostCertificate) -> list[tuple[str, int]]:
    """Where the certificate is shown to who connects; certificates of clients are shown nowhere."""
    at, port = SHOWN_BY.get(wanted.name, ("", ""))
    if not at:
        return []
    entry = CATALOGUE[at].listeners[port]
    if wanted.name == "endpoints":
        return [(str(SITE.endpoints.internal.address), entry.front_port)]
    return [(SITE.hosts[node].address, entry.port)]


def shown(node: str, at: str, port: int) -> int:
    """Serial number of the certificate that a port shows to the node itself."""
    greeting = "-starttls mysql" if port == CATALOGUE["mariadb"].listeners["sql"].port else ""
    command = f"openssl s_client -connect {at}:{port} {greeting} </dev/null 2>/dev/null"
    found = feed(node, f"{command} | openssl x509 -noout -serial", "").strip()
    return int(found.removeprefix("serial=") or "0", 16)
