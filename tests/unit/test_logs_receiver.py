"""The receiver: TLS on both sides, each node into its own folder, nothing acknowledged that is not kept."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from socle.logs.receiver import MEDIA, Server, Settings

ENTRY = b"__CURSOR=s=1;i=%d\n__REALTIME_TIMESTAMP=1\nMESSAGE=number %d\n\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with certificates of the store, of two nodes, and one that it did not sign."""
    folder = tmp_path_factory.mktemp("tls")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2")
    for name in ("ca", "stranger"):
        openssl(
            folder,
            "req",
            "-x509",
            *key,
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.crt",
        )
    for name in ("sec1", "cmp1", "cloud"):
        alternative = ("-addext", f"subjectAltName=DNS:{name}.site.test,IP:127.0.0.1")
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        openssl(folder, "req", "-x509", *key, "-subj", f"/CN={name}.site.test", *alternative, *signed)
    return folder


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@contextmanager
def running(authority: Path, store: Path) -> Iterator[int]:
    """A receiver on a free port, in this process."""
    nodes = {"cmp1.site.test": "cmp1", "sec1.site.test": "sec1"}
    files = {
        "certificate": authority / "sec1.crt",
        "key": authority / "sec1.key",
        "trust": authority / "ca.crt",
    }
    server = Server(Settings(address="127.0.0.1", port=0, store=store, nodes=nodes, **files))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def port(authority: Path, tmp_path: Path) -> Iterator[int]:
    with running(authority, tmp_path) as found:
        yield found


def client(authority: Path, name: str | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(authority / "ca.crt"))
    if name:
        made.load_cert_chain(authority / f"{name}.crt", authority / f"{name}.key")
    return made


def upload(port: int, context: ssl.SSLContext, body: bytes, path: str = "/upload", kind: str = MEDIA) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.request(
            "POST", path, iter([body[:9], body[9:]]), {"Content-Type": kind}, encode_chunked=True
        )
        return connection.getresponse().status
    finally:
        connection.close()


def kept(store: Path, node: str = "cmp1") -> list[str]:
    return [
        json.loads(line)["MESSAGE"]
        for path in sorted((store / node).glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_a_node_writes_into_its_own_folder(authority: Path, port: int, tmp_path: Path) -> None:
    assert upload(port, client(authority, "cmp1"), ENTRY % (1, 1) + ENTRY % (2, 2)) == 202
    assert kept(tmp_path) == ["number 1", "number 2"]
    assert [path.name for path in tmp_path.iterdir()] == ["cmp1"]


def test_a_certificate_of_the_site_that_is_no_node_s_is_refused(
    authority: Path, port: int, tmp_path: Path
) -> None:
    assert upload(port, client(authority, "cloud"), ENTRY % (1, 1)) == 403
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [None, "stranger"])
def test_nobody_comes_in_without_a_certificate_of_the_site(
    authority: Path, port: int, tmp_path: Path, name: str | None
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        upload(port, client(authority, name), ENTRY % (1, 1))
    assert not list(tmp_path.iterdir())


def test_plaintext_is_refused(port: int, tmp_path: Path) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(b"POST /upload HTTP/1.1\r\nHost: store\r\nContent-Length: 0\r\n\r\n")
        answer = b""
        try:
            while part := plain.recv(4096):
                answer += part
        except ConnectionError:
            pass
    assert b"HTTP/" not in answer
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_protocols_are_refused(authority: Path, port: int) -> None:
    old = client(authority, "cmp1")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        upload(port, old, b"")
    new = client(authority, "cmp1")
    new.maximum_version = ssl.TLSVersion.TLSv1_2
    assert upload(port, new, ENTRY % (1, 1)) == 202


def test_an_upload_that_is_cut_off_is_not_acknowledged_and_comes_again(
    authority: Path, port: int, tmp_path: Path
) -> None:
    whole, half = ENTRY % (1, 1), (ENTRY % (2, 2))[:20]
    assert upload(port, client(authority, "cmp1"), whole + half) == 400
    assert upload(port, client(authority, "cmp1"), whole + ENTRY % (2, 2)) == 202
    assert kept(tmp_path) == ["number 1", "number 2"]


def test_a_slow_handshake_holds_up_nobody(authority: Path, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        assert upload(port, client(authority, "cmp1"), ENTRY % (1, 1)) == 202


@pytest.mark.parametrize(("path", "kind", "status"), [("/", MEDIA, 404), ("/upload", "text/plain", 415)])
def test_what_is_no_upload_is_refused(authority: Path, port: int, path: str, kind: str, status: int) -> None:
    assert upload(port, client(authority, "cmp1"), ENTRY % (1, 1), path, kind) == status


def test_what_was_acknowledged_is_known_to_a_new_receiver(authority: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with running(authority, tmp_path) as port:
            assert upload(port, client(authority, "cmp1"), ENTRY % (1, 1)) == 202
    assert kept(tmp_path) == ["number 1"]
