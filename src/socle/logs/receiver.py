"""The receiver of the store: HTTPS with a certificate on both sides, one upload of journal entries a request.

Run on the node that keeps the store: ``python3 -m socle.logs.receiver /etc/socle/logs.json``.
"""

from __future__ import annotations

import io
import json
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, cast

from socle.logs.export import ChunkedBody, MalformedError, entries
from socle.logs.store import NodeLog

UPLOAD = "/upload"
MEDIA = "application/vnd.fdo.journal"
IDLE_SECONDS = 3600
HANDSHAKE_SECONDS = 20
LOST_MILLISECONDS = 60_000
"""After which a peer that takes nothing counts as gone (tcp(7), TCP_USER_TIMEOUT)."""

CIPHERS = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
"""Of TLS 1.2: ANSSI, Recommandations de sécurité relatives à TLS, R7 to R10; TLS 1.3 has no others."""


@dataclass(frozen=True)
class Settings:
    """What the receiver must know.

    Args:
        nodes: common name of a certificate to the name of the node's folder; nobody else may write.
    """

    address: str
    port: int
    store: Path
    certificate: Path
    key: Path
    trust: Path
    nodes: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Settings:
        """The settings in a JSON file."""
        given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files = {name: Path(given[name]) for name in ("store", "certificate", "key", "trust")}
        return cls(address=given["address"], port=given["port"], nodes=given["nodes"], **files)


class Server(ThreadingHTTPServer):
    """One thread for each connection; each node has one, which stays open."""

    daemon_threads = True

    def __init__(self, settings: Settings) -> None:
        self.address_family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
        super().__init__((settings.address, settings.port), Handler)
        self._settings = settings
        self._context = context(settings)
        self._logs: dict[str, NodeLog] = {}
        self._lock = threading.Lock()

    def get_request(self) -> tuple[Any, Any]:
        """A connection whose handshake is still to come: a slow peer must not hold up others."""
        connection, peer = super().get_request()
        connection.settimeout(HANDSHAKE_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST_MILLISECONDS)
        secured = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return secured, peer

    def node_of(self, certificate: Mapping[str, Any] | None) -> str | None:
        """The node whose certificate this is."""
        names = dict(pair for part in (certificate or {}).get("subject", ()) for pair in part)
        return self._settings.nodes.get(names.get("commonName", ""))

    def log_of(self, node: str) -> NodeLog:
        """The log of a node."""
        with self._lock:
            if node not in self._logs:
                self._logs[node] = NodeLog(self._settings.store / node)
            return self._logs[node]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line: a connection that breaks off is nothing new, its sender tries again."""
        say(f"{client_address[0]}: {sys.exception()!r}")


class Handler(BaseHTTPRequestHandler):
    """``POST /upload``: answers 202 when all of it is on disk."""

    protocol_version = "HTTP/1.1"
    server_version = "socle-logs"
    sys_version = ""

    def setup(self) -> None:
        """Do the handshake, in the thread of this connection."""
        secured = cast(ssl.SSLSocket, self.request)
        secured.do_handshake()
        secured.settimeout(IDLE_SECONDS)
        super().setup()

    def do_POST(self) -> None:
        """Take an upload."""
        self.close_connection = True
        server = cast(Server, self.server)
        node = server.node_of(cast(ssl.SSLSocket, self.request).getpeercert())
        if node is None:
            self._answer(HTTPStatus.FORBIDDEN)
        elif self.path != UPLOAD:
            self._answer(HTTPStatus.NOT_FOUND)
        elif self.headers.get("Content-Type") != MEDIA:
            self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        else:
            self._take(server.log_of(node))

    def _take(self, log: NodeLog) -> None:
        try:
            log.append(entries(self._body()))
        except MalformedError as error:
            say(f"{self.client_address[0]}: {error}")
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        log.acknowledge()
        self.close_connection = False
        self._answer(HTTPStatus.ACCEPTED)

    def _body(self) -> BinaryIO:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return io.BufferedReader(ChunkedBody(cast(BinaryIO, self.rfile)), 65536)
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise MalformedError("a body without a length")
        return io.BytesIO(self.rfile.read(int(length)))

    def _answer(self, status: HTTPStatus) -> None:
        text = f"{status.phrase}.\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the standard library
        """Say nothing of what went well: the receiver's own log would be uploaded, for ever."""
        if len(args) > 1 and str(args[1]) != str(HTTPStatus.ACCEPTED.value):
            say(f"{self.client_address[0]}: {format % args}")


def context(settings: Settings) -> ssl.SSLContext:
    """TLS 1.2 or 1.3, and nobody without a certificate of the site."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(CIPHERS)
    made.load_cert_chain(settings.certificate, settings.key)
    made.load_verify_locations(settings.trust)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def say(text: str) -> None:
    """A line for the journal."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a daemon


def main() -> None:
    """Serve until told to stop."""
    server = Server(Settings.read(Path(sys.argv[1])))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
