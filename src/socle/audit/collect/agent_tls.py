"""TLS handshakes by messages of our own: what a server offers, and what it takes from a stranger.

``ssl`` cannot offer what is forbidden: old protocols, weak suites, compression. So the first message of a
client is written by hand (RFC 8446, RFC 5246) and the answer read up to where it would get secret.
Certificates travel as they are; the machine that audits looks into them.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import Any

from socle.audit.collect.agent_starttls import (
    HANDSHAKE_SECONDS,
    MARIADB_CLIENT,
    MARIADB_SSL,
    Refused,
    mariadb_greeting,
    mariadb_in_clear,
    mariadb_packet,
)
from socle.audit.collect.agent_tls_names import (
    ALERT,
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    DONE,
    EXTENSION_HEADER,
    GROUPS,
    GROUPS_EXTENSION,
    HANDSHAKE,
    KEY_EXCHANGE,
    LENGTH_24,
    MASTER_SECRET,
    MESSAGE_HEADER,
    MODES,
    NAMED_CURVE,
    POINTS,
    PROTOCOLS,
    RECORD_HEADER,
    RENEGOTIATION,
    SERVER_HELLO,
    SERVER_NAME,
    SHARE,
    SIGNATURES,
    SIGNATURES_EXTENSION,
    SSL3,
    SUITES_12,
    SUITES_13,
    TLS12,
    TLS13,
    VERSIONS,
)


def tls_listener(place: dict[str, Any]) -> dict[str, Any]:
    """All that a TLS listener offers to a stranger.

    Args:
        place: ``address``, ``port``, ``name`` (may be empty), ``starts`` (``tls`` or
            ``mariadb``), ``mutual`` (whether it is to ask for certificates).

    Raises:
        OSError: nobody listens there.
    """
    with tls_connection(place):
        pass
    offers = {PROTOCOLS[v]: answer for v in PROTOCOLS if v < TLS13 if (answer := tls_try(place, v))}
    modern = tls_try(place, TLS13)
    if modern:
        offers[PROTOCOLS[TLS13]] = modern
    best = offers.get("TLSv1.2", {})
    return {
        "protocols": sorted(offers),
        "suites": sorted({*tls_suites(place, TLS12), *tls_suites(place, TLS13)}),
        "groups": sorted({*tls_groups(place, TLS12), *tls_groups(place, TLS13)}),
        "signature": best.get("signature"),
        "compression": any(offer.get("compression") for offer in offers.values()),
        "secure_renegotiation": best.get("secure_renegotiation"),
        "extended_master_secret": best.get("extended_master_secret"),
        "chain": best.get("chain") or tls_leaf(place),
        "stranger": tls_stranger(place, offers),
        "clear": mariadb_in_clear(place) if place["starts"] == "mariadb" else tls_in_clear(place),
    }


def tls_connection(place: dict[str, Any]) -> socket.socket:
    """A connection up to where TLS begins."""
    made = socket.create_connection((place["address"], place["port"]), HANDSHAKE_SECONDS)
    if place["starts"] == "mariadb":
        mariadb_greeting(made)
        made.sendall(mariadb_packet(1, struct.pack("<IIB23x", MARIADB_CLIENT | MARIADB_SSL, 1 << 24, 45)))
    return made


def tls_try(
    place: dict[str, Any], version: int, suites: list[int] | None = None, groups: list[int] | None = None
) -> dict[str, Any] | None:
    """What the listener answers to one offer; none when it takes it not."""
    known = SUITES_13 if version == TLS13 else SUITES_12
    try:
        with tls_connection(place) as connection:
            connection.sendall(tls_hello(version, suites or list(known), groups or list(GROUPS), place))
            return tls_answer(connection, version)
    except (Refused, OSError, struct.error, IndexError):
        return None


def tls_suites(place: dict[str, Any], version: int) -> Iterator[str]:
    """Offer all suites, then all but the chosen one, until none is taken."""
    left = dict(SUITES_13 if version == TLS13 else SUITES_12)
    while left:
        answer = tls_try(place, version, list(left))
        if not answer or answer["suite"] not in left:
            return
        yield left.pop(answer["suite"])


def tls_groups(place: dict[str, Any], version: int) -> Iterator[str]:
    """The same with groups: in TLS 1.3 the server asks for one, in 1.2 it uses one."""
    left = dict(GROUPS)
    while left:
        answer = tls_try(place, version, groups=list(left))
        if not answer or answer.get("group") not in left:
            return
        yield left.pop(answer["group"])


def tls_hello(version: int, suites: list[int], groups: list[int], place: dict[str, Any]) -> bytes:
    """A ClientHello in one record."""
    body = struct.pack("!H", min(version, TLS12)) + os.urandom(32)
    body += b"\x20" + os.urandom(32) if version == TLS13 else b"\x00"
    body += tls_vector(2, b"".join(struct.pack("!H", suite) for suite in suites))
    body += b"\x01\x00" if version == TLS13 else b"\x02\x01\x00"
    if version > SSL3:
        body += tls_vector(2, tls_extensions(version, groups, place))
    message = b"\x01" + struct.pack("!I", len(body))[1:] + body
    return b"\x16" + struct.pack("!H", min(version, 0x0301)) + tls_vector(2, message)


def tls_extensions(version: int, groups: list[int], place: dict[str, Any]) -> bytes:
    """The extensions of a ClientHello (RFC 8446 4.2)."""
    signatures = b"".join(struct.pack("!H", scheme) for scheme in SIGNATURES)
    listed = [
        (GROUPS_EXTENSION, tls_vector(2, b"".join(struct.pack("!H", group) for group in groups))),
        (POINTS, b"\x01\x00"),
        (SIGNATURES_EXTENSION, tls_vector(2, signatures)),
        (MASTER_SECRET, b""),
        (RENEGOTIATION, b"\x00"),
    ]
    if place["name"]:
        listed.insert(0, (SERVER_NAME, tls_vector(2, b"\x00" + tls_vector(2, place["name"].encode()))))
    if version == TLS13:
        # Without a share of a key the server must say which group it wants: nothing is computed.
        listed += [(VERSIONS, b"\x02\x03\x04"), (MODES, b"\x01\x01"), (SHARE, b"\x00\x00")]
    return b"".join(struct.pack("!H", kind) + tls_vector(2, content) for kind, content in listed)


def tls_vector(width: int, content: bytes) -> bytes:
    """A content behind its length."""
    return len(content).to_bytes(width) + content


def tls_answer(connection: socket.socket, version: int) -> dict[str, Any]:
    """The server's first flight, up to what is encrypted.

    Raises:
        Refused: an alert, another version, or no TLS at all.
    """
    found: dict[str, Any] = {"chain": [], "asks": False}
    for kind, body in tls_messages(connection):
        if kind == SERVER_HELLO:
            found |= tls_server_hello(body)
            if found["version"] != version:
                raise Refused
            if version == TLS13:
                return found
        elif kind == CERTIFICATE:
            found["chain"] = list(tls_chain(body))
        elif kind == KEY_EXCHANGE:
            found |= tls_key_exchange(body)
        elif kind == CERTIFICATE_REQUEST:
            found["asks"] = True
        elif kind == DONE:
            return found
    raise Refused


def tls_messages(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Handshake messages out of records."""
    stream = connection.makefile("rb")
    held = b""
    while len(header := stream.read(RECORD_HEADER)) == RECORD_HEADER:
        kind, _version, size = struct.unpack("!BHH", header)
        content = stream.read(size)
        if kind != HANDSHAKE:
            raise Refused
        held += content
        while len(held) >= MESSAGE_HEADER and len(held) >= 4 + (length := int.from_bytes(held[1:4])):
            yield held[0], held[4 : 4 + length]
            held = held[4 + length :]
    raise Refused


def tls_server_hello(body: bytes) -> dict[str, Any]:
    """Version, suite, compression and extensions of a ServerHello or a HelloRetryRequest."""
    version = struct.unpack("!H", body[:2])[0]
    at = 35 + body[34]
    suite, compression = struct.unpack("!HB", body[at : at + 3])
    extensions = dict(tls_extension_list(body[at + 5 :]))
    if VERSIONS in extensions:
        version = struct.unpack("!H", extensions[VERSIONS])[0]
    return {
        "version": version,
        "suite": suite,
        "compression": bool(compression),
        "group": struct.unpack("!H", extensions[SHARE][:2])[0] if SHARE in extensions else None,
        "secure_renegotiation": RENEGOTIATION in extensions,
        "extended_master_secret": MASTER_SECRET in extensions,
    }


def tls_extension_list(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each extension."""
    while len(text) >= EXTENSION_HEADER:
        kind, size = struct.unpack("!HH", text[:4])
        yield kind, text[4 : 4 + size]
        text = text[4 + size :]


def tls_chain(body: bytes) -> Iterator[str]:
    """The certificates of a message Certificate of TLS 1.2, DER in base64."""
    text = body[3:]
    while len(text) >= LENGTH_24:
        size = int.from_bytes(text[:3])
        yield base64.b64encode(text[3 : 3 + size]).decode()
        text = text[3 + size :]


def tls_key_exchange(body: bytes) -> dict[str, Any]:
    """The group and the signature of an ephemeral key (RFC 8422 5.4); a finite field has no name."""
    if body[0] != NAMED_CURVE:
        return {"group": None}
    group, size = struct.unpack("!HB", body[1:4])
    scheme = struct.unpack("!H", body[4 + size : 6 + size])[0]
    return {"group": group, "signature": SIGNATURES.get(scheme, hex(scheme))}


def tls_leaf(place: dict[str, Any]) -> list[str]:
    """The certificate of a listener that speaks TLS 1.3 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            tls_connection(place) as plain,
            context.wrap_socket(plain, server_hostname=place["name"] or None) as tls,
        ):
            return [base64.b64encode(tls.getpeercert(binary_form=True) or b"").decode()]
    except OSError:
        return []


def tls_stranger(place: dict[str, Any], offers: dict[str, Any]) -> str:
    """Whether somebody without a certificate comes through the handshake: ``refused`` or ``accepted``.

    With TLS 1.2 most servers say so in the handshake, some after it, as all do with 1.3.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if "TLSv1.2" in offers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with (
            tls_connection(place) as plain,
            context.wrap_socket(plain, server_hostname=place["name"] or None) as tls,
        ):
            if not place["mutual"]:
                return "accepted"
            # What has looked at certificates by then hangs up; what waits for a request took the stranger.
            tls.settimeout(HANDSHAKE_SECONDS)
            return "refused" if tls.recv(1) == b"" else "accepted"
    except TimeoutError:
        return "accepted"
    except (ssl.SSLError, ConnectionError):
        return "refused"


def tls_in_clear(place: dict[str, Any]) -> str:
    """What a request without TLS gets: ``nothing``, ``alert``, ``refusal`` in words, or ``answer``."""
    with socket.create_connection((place["address"], place["port"]), HANDSHAKE_SECONDS) as plain:
        plain.settimeout(1)
        try:
            plain.sendall(b"GET / HTTP/1.0\r\nHost: audit\r\n\r\n")
            said = plain.recv(200)
        except (TimeoutError, ConnectionError):
            return "nothing"
    if not said:
        return "nothing"
    if said[0] == ALERT:
        return "alert"
    return "refusal" if said.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400")) else "answer"
