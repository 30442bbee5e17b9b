"""The probe of expired certificates, against listeners of this machine that look and ones that do not."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from socle.audit import controls
from socle.audit.judging import judge
from socle.audit.model import Fact, Status
from socle.audit.probe import expiry, expiry_end
from socle.errors import SocleError
from socle.paths import project_root
from socle.site import load
from tests.unit.audit_golden import one_pass

SITE = load(project_root() / "inventories/lab")


class Authority:
    """Signs certificates that live between two ages, in seconds from now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._signed(self.name, self.key, -60, 60, authority=True))

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, begin: int, end: int, *, authority: bool
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(seconds=begin))
            .not_valid_after(now + timedelta(seconds=end))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def certificate(self, name: str, begin: int, end: int) -> Path:
        """Certificate and key in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        bare = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self.folder / f"{name}.pem"
        path.write_bytes(self._signed(subject, key, begin, end, authority=False) + bare)
        return path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def listening(authority: Authority, version: ssl.TLSVersion, *, looks: bool) -> Iterator[dict[str, Any]]:
    """A listener that asks for certificates; one that does not look takes any and waits for a request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate("server", -60, 60))
    context.minimum_version = context.maximum_version = version
    if looks:
        context.load_verify_locations(authority.file)
        context.verify_mode = ssl.CERT_REQUIRED
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _address = server.accept()
                with contextlib.suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as tls:
                    tls.recv(1)

    Thread(target=serve, daemon=True).start()
    try:
        yield {"subject": "n1 a", "address": "127.0.0.1", "port": server.getsockname()[1]}
    finally:
        server.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("looks", [True, False])
def test_a_listener_that_looks_refuses_what_has_expired(
    authority: Authority, version: ssl.TLSVersion, looks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {}
    with listening(authority, version, looks=looks) as place:
        for name, end in (("alive", 60), ("expired", -1)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.load_cert_chain(authority.certificate(name, -60, end))
            said[name] = expiry_end.answers([place], context, 0.3)["n1 a"]
    assert said == {"alive": "accepted", "expired": "refused" if looks else "accepted"}


def test_where_nobody_listens_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    place = {"subject": "n1 a", "address": "127.0.0.1", "port": port}
    assert expiry_end.answer(place, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), 0.3) == "silent"
    assert statuses(monkeypatch, {"alive": "silent", "expired": "silent"}) == {Status.NOT_EVALUATED}


def statuses(monkeypatch: pytest.MonkeyPatch, said: dict[str, str] | SocleError) -> set[Status]:
    """What the control makes of the same answer of every listener."""

    def call(_site: Any, _host: Any, _script: str, _function: str, asked: list[dict[str, Any]]) -> Any:
        if isinstance(said, SocleError):
            raise said
        return {place["subject"]: said for place in asked}

    monkeypatch.setattr("socle.audit.probe.remote.call", call)
    ground = expiry.Ground(SITE, canaries=None)  # type: ignore[arg-type] - it has none
    found: list[Fact] = list(expiry.EXPIRED.run(ground))
    assert [(fact.name, fact.subject) for fact in found] == [
        (expiry.EXPIRED.fact.name, subject) for subject in expiry.of_mutual(SITE)
    ]
    return {judge(controls.named("probe-expired-certificate"), one_pass(found)).status}


def test_every_mutual_listener_of_the_site_is_tried_and_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = expiry.of_mutual(SITE)
    assert {"ctl1 keystone.api", "sec1 logs_store.intake", "ctl1 ovn.south"} <= set(subjects)
    good = {"alive": "accepted", "expired": "refused"}
    assert statuses(monkeypatch, good) == {Status.CONFORME}
    assert statuses(monkeypatch, good | {"expired": "accepted"}) == {Status.NON_CONFORME}
    assert statuses(monkeypatch, good | {"alive": "refused"}) == {Status.NON_CONFORME}
    assert statuses(monkeypatch, SocleError("ne répond pas")) == {Status.NOT_EVALUATED}
