"""What the audit sees of listeners: good ones, weak ones, silent ones, and those that say something else."""

from __future__ import annotations

import base64
import contextlib
import multiprocessing
import os
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from socle import catalogue
from socle.audit.collect import network_listeners, network_scan, network_web
from socle.audit.collect.agent_listeners import listener_answer
from socle.audit.rules import RULES, Others
from socle.audit.rules.registry import Unreadable
from socle.errors import SocleError
from socle.paths import project_root
from socle.site import Site, load
from socle.site.flows import flows

NOW = datetime(2026, 11, 29, 8, tzinfo=UTC)
GOOD = {"ECDHE_ECDSA_AES_256_GCM_SHA384"}
TODAY = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
type Talk = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test "
        "-addext subjectAltName=DNS:test -keyout pem -out crt"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    (folder / "pem").write_text((folder / "pem").read_text() + (folder / "crt").read_text())
    return folder / "pem"


@contextmanager
def listening(talk: Talk) -> Iterator[dict[str, Any]]:
    """A listener on the loopback that talks so to each caller."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def one(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                talk(connection)

        def accept() -> None:
            while True:
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        address, port = server.getsockname()
        yield {
            "subject": "it",
            "address": address,
            "port": port,
            "name": "test",
            "starts": "tls",
            "mutual": False,
        }
        server.shutdown(socket.SHUT_RDWR)


def speaking(certificate: Path, change: Callable[[ssl.SSLContext], None]) -> Talk:
    """Talk of a TLS server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    change(context)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(100)

    return talk


def test_a_good_listener(certificate: Path) -> None:
    with listening(speaking(certificate, lambda c: c.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384"))) as place:
        found = listener_answer(place)["value"]
    assert found["protocols"] == ["TLSv1.2", "TLSv1.3"]
    assert set(found["suites"]) == GOOD | TODAY
    assert {"x25519", "secp256r1"} <= set(found["groups"])
    assert (found["compression"], found["secure_renegotiation"], found["stranger"]) == (
        False,
        True,
        "accepted",
    )
    assert (found["signature"], len(found["chain"])) == ("ecdsa_secp256r1_sha256", 1)
    assert found["clear"] in {"nothing", "alert"}


def test_a_weak_suite_is_seen(certificate: Path) -> None:
    with listening(
        speaking(certificate, lambda c: c.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"))
    ) as place:
        found = listener_answer(place)["value"]
    assert "ECDHE_ECDSA_AES_128_CBC_SHA" in found["suites"]


def test_a_listener_of_the_newest_protocol_only(certificate: Path) -> None:
    def newest(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3

    with listening(speaking(certificate, newest)) as place:
        found = listener_answer(place)["value"]
    assert found["protocols"] == ["TLSv1.3"]
    assert len(found["chain"]) == 1


def test_a_stranger_is_refused_where_certificates_are_asked(certificate: Path) -> None:
    def mutual(context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)

    with listening(speaking(certificate, mutual)) as place:
        assert listener_answer({**place, "mutual": True})["value"]["stranger"] == "refused"


def test_what_answers_in_clear_is_seen() -> None:
    with listening(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\n\r\n" if c.recv(100) else b"")) as place:
        found = listener_answer(place)["value"]
    assert (found["protocols"], found["suites"], found["clear"]) == ([], [], "answer")


@pytest.mark.parametrize(
    "said", [b"", b"\x16\x03\x03\x00\x05\x02", b"\x16\x03\x03\x00\x04\x02\x00\x00\x50", b"SSH-2.0-x\r\n"]
)
def test_a_cut_or_strange_answer_is_no_offer(said: bytes) -> None:
    with listening(lambda c: c.sendall(said if c.recv(10) else b"")) as place:
        assert listener_answer(place)["value"]["protocols"] == []
        assert "problem" in listener_answer({**place, "starts": "ssh"})


def test_nobody_there_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = {
        "subject": "x",
        "address": "127.0.0.1",
        "port": port,
        "name": "",
        "starts": "tls",
        "mutual": False,
    }
    assert f"127.0.0.1:{port} ne répond pas" in listener_answer(place)["problem"]


def test_an_ssh_server_is_read_up_to_its_lists() -> None:
    lists = b"".join(struct.pack("!I", len(one)) + one for one in [b"curve25519-sha256,x", *[b"none"] * 9])
    payload = b"\x04\x14" + bytes(16) + lists + bytes(9)
    with listening(
        lambda c: c.sendall(b"SSH-2.0-test\r\n" + struct.pack("!I", len(payload)) + payload)
    ) as place:
        found = listener_answer({**place, "starts": "ssh"})["value"]
    assert (found["key_exchange"], found["compression"]) == (["curve25519-sha256", "x"], ["none"])


def test_every_tls_listener_of_the_catalogue_is_a_subject(site: Site) -> None:
    subjects = network_listeners.of_listeners(site)
    assert {"keystone.api@api", "keystone.api@admin", "ctl1 mariadb.sql", "sec1 openbao.api"} <= set(subjects)
    assert len(subjects) == len(set(subjects)) > 30


def test_a_certificate_of_others_is_not_trusted(certificate: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert((certificate.parent / "crt").read_text())
    chain = [base64.b64encode(der).decode()]
    other = network_listeners.Judge((certificate.parent / "crt").read_bytes(), datetime.now(UTC))
    found = other.certificate(chain, "elsewhere")
    assert (found["key"], found["bits"], found["signature_hash"]) == ("ec", 256, "sha256")
    assert found["untrusted"]
    with pytest.raises(ValueError, match="racine du site"):
        network_listeners.Judge(None, NOW).certificate(chain, "test")


def test_the_ports_that_are_tried_are_those_of_the_matrix_and_well_known(site: Site) -> None:
    matrix = flows(site, catalogue.load())
    tried = network_scan.ports(matrix)
    assert {22, 3306, 3307, 5671, 8006, 8200, 6799, 7569} <= set(tried)
    assert network_scan.allowed(matrix, "10.77.0.1", "10.77.0.11") == {22}


KEEPS = """nft add table inet own
nft add chain inet own out '{ type filter hook output priority 0; policy accept; }'
nft add rule inet own out tcp dport 80 drop"""


def _scanned(answer: Connection, before: str) -> None:
    os.unshare(os.CLONE_NEWNET)
    network = "ip link set lo up\nip address add 192.0.2.2/24 dev lo\n"
    subprocess.run(["sh", "-ec", network + before], check=True)
    try:
        answer.send(network_scan.scan("192.0.2.2", {"192.0.2.2": [22, 80]}))
    except SocleError as error:
        answer.send(str(error))


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace")
@pytest.mark.parametrize(("before", "ports"), [("", [22, 80]), (KEEPS, None)])
def test_packets_that_this_machine_keeps_prove_nothing(before: str, ports: list[int] | None) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_scanned, args=(theirs, before))
    process.start()
    process.join(60)
    expected = {"192.0.2.2": ports} if ports else "le pare-feu de cette machine retient 1 paquets du balayage"
    assert ours.recv() == expected


def test_silence_proves_something_where_what_is_allowed_answers() -> None:
    judged = {"name": "10.77.0.11", "zone": "admin", "reached": [], "allowed": []}
    public = {"name": "10.77.1.10", "zone": "api", "reached": [443], "allowed": [443, 5000]}
    value = {"from": "10.77.1.1", "ports": 183, "addresses": [judged, public]}
    reached = RULES["reached as the matrix says"]
    expect = {"zone": "admin", "nothing": True, "ports": 100}
    assert not list(reached(value, expect, Others("api", NOW)))
    for silent in ({**public, "reached": []}, {**public, "allowed": []}):
        with pytest.raises(Unreadable, match=r"10\.77\.1\.1 ne lui a répondu"):
            list(reached({**value, "addresses": [judged, silent]}, expect, Others("api", NOW)))
    heard = [{**judged, "reached": [22]}, {**public, "reached": []}]
    assert list(reached({**value, "addresses": heard}, expect, Others("api", NOW)))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (300, '{"versions": []}', "versions"),
        (200, '{"servers": []}', "other"),
        (200, '<form><input id="x" type="password"></form>', "login"),
        (200, "<html>Hello</html>", "other"),
        (401, '{"error": 1}', "refusal"),
        (302, "", "empty"),
    ],
)
def test_what_a_body_is(status: int, body: str, kind: str) -> None:
    assert network_web.kind_of({"status": status, "body": body}) == kind


def judged(name: str, value: Any, expect: dict[str, Any]) -> list[str]:
    return [deviation.place for deviation in RULES[name](value, expect, Others("x", NOW))]


def test_more_or_less_than_the_matrix_is_told() -> None:
    one = {"name": "a", "zone": "admin", "reached": [22, 80], "allowed": [22, 443]}
    value = {"from": "b", "ports": 100, "addresses": [one]}
    name = "reached as the matrix says"
    assert judged(name, value, {}) == ["a port 80", "a port 443"]
    assert judged(name, value, {"zone": "admin", "nothing": True}) == ["a port 22", "a port 80"]
    for expect in ({"zone": "api"}, {"ports": 101}):
        with pytest.raises(Unreadable):
            judged(name, value, expect)


def test_login_comes_before_data() -> None:
    good = {"root_kind": "versions", "protected": 401, "to_login": False}
    expect = {"refused": [401]}
    assert judged("login comes first", good, expect) == []
    assert judged("login comes first", {**good, "protected": 302, "to_login": True}, expect) == []
    assert judged("login comes first", {**good, "protected": 200}, expect) == ["chemin protégé"]
    assert judged("login comes first", {**good, "root_kind": "other"}, expect) == ["/"]
    assert judged("login comes first", {**good, "protected": None}, expect) == ["/"]


def test_keys_are_of_a_family_and_a_size() -> None:
    expect = {"ec": 256, "rsa": 3072}
    assert judged("key sizes", {"key": "rsa", "bits": 4096}, expect) == []
    assert judged("key sizes", {"key": "rsa", "bits": 2048}, expect) == ["bits"]
    assert judged("key sizes", {"key": "other", "bits": 0}, expect) == ["key"]


def test_strangers_must_be_refused_only_where_it_is_said() -> None:
    assert judged("strangers are refused", {"mutual": True, "stranger": "accepted"}, {}) == [""]
    assert judged("strangers are refused", {"mutual": False, "stranger": "accepted"}, {}) == []
