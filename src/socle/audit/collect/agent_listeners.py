"""Handshakes with listeners, on nodes and on this machine: TLS, and SSH up to its lists."""

from __future__ import annotations

import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from socle.audit.collect.agent import Questions, Unread, output, section
from socle.audit.collect.agent_starttls import HANDSHAKE_SECONDS, Refused
from socle.audit.collect.agent_tls import tls_listener

LISTENERS_AT_ONCE = 8
SSH_LISTS = ("key_exchange", "host_keys", "ciphers_in", "ciphers", "macs_in", "macs", "zip_in", "compression")


def ssh_listener(place: dict[str, Any]) -> dict[str, Any]:
    """What an SSH server offers, in its own order (RFC 4253 7.1).

    Raises:
        OSError: nobody listens there, or it is not SSH.
    """
    with socket.create_connection((place["address"], place["port"]), HANDSHAKE_SECONDS) as connection:
        stream = connection.makefile("rb")
        banner = stream.readline(255).decode("ascii", "replace").strip()
        connection.sendall(b"SSH-2.0-socle_audit\r\n")
        size = int.from_bytes(stream.read(4))
        packet = stream.read(size)
        if not banner.startswith("SSH-2.0-") or packet[1:2] != b"\x14":
            raise OSError("ce n’est pas SSH")
    text = packet[18:]
    lists: list[list[str]] = []
    while len(lists) < len(SSH_LISTS):
        length = int.from_bytes(text[:4])
        lists.append(text[4 : 4 + length].decode("ascii").split(","))
        text = text[4 + length :]
    offered = dict(zip(SSH_LISTS, lists, strict=True))
    kept = ("key_exchange", "host_keys", "ciphers", "macs", "compression")
    return {"banner": banner, **{name: offered[name] for name in kept}}


def listener_answers(places: list[dict[str, Any]]) -> dict[str, Any]:
    """Every listener by its name: ``{"value": …}``, or ``{"problem": …}`` in French."""
    with ThreadPoolExecutor(LISTENERS_AT_ONCE) as pool:
        found = pool.map(listener_answer, places)
        return dict(zip([place["subject"] for place in places], found, strict=True))


def listener_answer(place: dict[str, Any]) -> dict[str, Any]:
    """One listener."""
    try:
        return {"value": (ssh_listener if place["starts"] == "ssh" else tls_listener)(place)}
    except (OSError, Refused, struct.error, IndexError, ValueError) as error:
        where = f"{place['address']}:{place['port']}"
        return {"problem": f"{where} ne répond pas ({type(error).__name__} : {error})"}


@section("handshakes")
def handshakes(questions: Questions) -> dict[str, Any]:
    """Listeners of this host that only other nodes may call: asked by the host itself."""
    links = json.loads(output("ip", "-json", "address", "show"))
    own = {one["local"] for link in links for one in link.get("addr_info", ()) if "local" in one}
    if strange := {place["address"] for place in questions["handshakes"]} - own:
        raise Unread(f"{min(strange)} n’est pas une adresse de l’hôte")
    return listener_answers(questions["handshakes"])
