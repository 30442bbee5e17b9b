"""What stands before TLS in protocols that change over to it: MariaDB's first packets."""

from __future__ import annotations

import socket
import struct
from typing import Any

HANDSHAKE_SECONDS = 3.0
MARIADB_SSL, MARIADB_CLIENT = 0x0800, 0x000F_A28D
SECURE_TRANSPORT_REQUIRED = 3159


class Refused(Exception):  # noqa: N818 - it is an answer
    """The listener takes no such handshake."""


def mariadb_packet(number: int, body: bytes) -> bytes:
    """A packet of MariaDB's protocol."""
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def mariadb_greeting(connection: socket.socket) -> bytes:
    """The server's first packet.

    Raises:
        Refused: it is an error, or something else.
    """
    stream = connection.makefile("rb")
    header = stream.read(4)
    body = stream.read(int.from_bytes(header[:3], "little"))
    if body[:1] != b"\x0a":
        raise Refused
    return body


def mariadb_in_clear(place: dict[str, Any]) -> str:
    """What a login without TLS gets: ``refusal`` when the server wants TLS before anything else."""
    with socket.create_connection((place["address"], place["port"]), HANDSHAKE_SECONDS) as plain:
        mariadb_greeting(plain)
        login = struct.pack("<IIB23x", MARIADB_CLIENT, 1 << 24, 45) + b"socle-audit\x00\x00"
        plain.sendall(mariadb_packet(1, login + b"mysql_native_password\x00"))
        said = plain.recv(200)
    refused = said[4:5] == b"\xff" and struct.unpack("<H", said[5:7])[0] == SECURE_TRANSPORT_REQUIRED
    return "refusal" if refused else "nothing" if not said else "answer"
