"""Alerts of the daily audit: entries in a journal, and mail to nobody but whom the site names, over TLS."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import pytest

from socle.audit import alerts
from socle.errors import SocleError
from socle.paths import project_root
from socle.site import Site, load
from socle.site.settings import Alerts

LINES = ("Devenu non conforme : ssh-root-login", "deux\nlignes")


@dataclass
class Relay:
    """A mail relay on the loopback that speaks TLS only, for one mail."""

    port: int
    ca_file: Path
    heard: list[str] = field(default_factory=list)
    refuses: bool = False

    def serve(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        try:
            plain, _address = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as tls, tls.makefile("rwb") as stream:
                self._talk(stream)
        except OSError:
            return

    def _talk(self, stream: IO[bytes]) -> None:
        def say(line: str) -> None:
            stream.write(f"{line}\r\n".encode())
            stream.flush()

        say("220 relay")
        within = False
        for raw in stream:
            line = raw.decode().rstrip("\r\n")
            self.heard.append(line)
            word = line.partition(" ")[0].upper()
            if within and line != ".":
                continue
            within = word == "DATA"
            say(
                {"DATA": "354 go on", "QUIT": "221 bye", "RCPT": "550 no" if self.refuses else "250 ok"}.get(
                    word, "250 ok"
                )
            )
            if word == "QUIT":
                return


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    certificate, key = tmp_path / "relay.pem", tmp_path / "relay.key"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*words.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Relay(listener.getsockname()[1], certificate)
        thread = threading.Thread(target=made.serve, args=(listener, context), daemon=True)
        thread.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def site_with(named: Alerts | None) -> Site:
    site = load(project_root() / "inventories/lab")
    auditing = site.settings.audit.model_copy(update={"alerts": named})
    return replace(site, settings=site.settings.model_copy(update={"audit": auditing}))


def named(relay: Relay, **more: object) -> Alerts:
    # `localhost` is no name that a site may give, and the one that answers here.
    return Alerts(to="exploitation@gip.example", relay="relay.gip.example").model_copy(
        update={"relay": "localhost", "port": relay.port, "ca_file": str(relay.ca_file), **more}
    )


def test_each_line_is_an_entry_of_the_priority_err(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        assert alerts.to_journal("lab", LINES, tmp_path / "journal")
        entries = [journal.recv(4096).decode() for _line in LINES]
    assert [dict(line.split("=", 1) for line in entry.splitlines()) for entry in entries] == [
        {"PRIORITY": "3", "SYSLOG_IDENTIFIER": "socle-audit", "SOCLE_SITE": "lab", "MESSAGE": text}
        for text in (LINES[0], "deux lignes")
    ]


def test_without_a_journal_nothing_is_said(tmp_path: Path) -> None:
    assert not alerts.to_journal("lab", LINES, tmp_path / "journal")


def test_a_mail_goes_to_the_address_of_the_site_over_tls(relay: Relay) -> None:
    alerts.to_people(site_with(named(relay)), "Audit quotidien de lab : à regarder", LINES)
    addressed = [line.partition("TO:")[2] for line in relay.heard if "TO:" in line]
    assert addressed == ["<exploitation@gip.example>"]
    assert LINES[0] in relay.heard


def test_nobody_is_called_when_the_site_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*_given: object, **_named: object) -> None:
        raise AssertionError("somebody is called")

    monkeypatch.setattr(socket.socket, "connect", called)
    monkeypatch.setattr(socket, "create_connection", called)
    alerts.to_people(site_with(None), "x", LINES)


def test_a_relay_that_cannot_prove_who_it_is_gets_nothing(relay: Relay) -> None:
    with pytest.raises(SocleError, match="CERTIFICATE_VERIFY_FAILED"):
        alerts.to_people(site_with(named(relay, ca_file=None)), "x", LINES)
    assert relay.heard == []


def test_a_relay_that_refuses_is_an_error(relay: Relay) -> None:
    relay.refuses = True
    with pytest.raises(SocleError, match="takes no mail"):
        alerts.to_people(site_with(named(relay)), "x", LINES)
    assert LINES[0] not in relay.heard
