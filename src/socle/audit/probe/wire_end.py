"""Ends of a canary's wire on a hypervisor: plugged as a guest's are, asked with echoes, unplugged.

Only the standard library: the audit sends this file through SSH and appends the call. An end is an interface
of the virtual switch in a network namespace of its own; nothing of the hypervisor's is in there.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from typing import Any

BRIDGE = "br-int"
ECHO, ECHO_REPLY = 8, 0
ECHOES = 3
PATIENCE = 1.0


def _do(*words: str, check: bool = True) -> None:
    subprocess.run(words, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def plug(ends: list[dict[str, Any]]) -> dict[str, Any]:
    """Plug ends in: ``name`` (of the interface and its namespace), ``port``, ``mac``, ``address`` (CIDR)."""
    for end in ends:
        name = end["name"]
        identity = [f"external_ids:iface-id={end['port']}", f"external_ids:attached-mac={end['mac']}"]
        kind = ["type=internal", f'mac="{end["mac"]}"', "external_ids:iface-status=active"]
        _do(
            "ovs-vsctl",
            "--may-exist",
            "add-port",
            BRIDGE,
            name,
            "--",
            "set",
            "Interface",
            name,
            *kind,
            *identity,
        )
        _do("ip", "netns", "add", name)
        _do("ip", "link", "set", name, "netns", name)
        _do("ip", "-n", name, "address", "add", end["address"], "dev", name)
        _do("ip", "-n", name, "link", "set", name, "up")
    return {"plugged": len(ends)}


def unplug(names: list[str]) -> dict[str, Any]:
    """Take ends out, whatever there is of them. Safe to repeat."""
    for name in names:
        _do("ip", "netns", "delete", name, check=False)
        _do("ovs-vsctl", "--if-exists", "del-port", BRIDGE, name)
    kept = [name for name in names if os.path.exists(f"/run/netns/{name}")]  # noqa: PTH110 - alone on a host
    return {"kept": kept}


def reach(name: str, targets: list[dict[str, Any]]) -> dict[str, Any]:
    """How many of the echoes sent from an end to each target came back, by the target's name.

    A target has ``name``, ``address``, and ``mac`` when the sender is to know it without asking.
    """
    for target in targets:
        if target.get("mac"):
            words = ("neighbour", "replace", target["address"], "lladdr", target["mac"], "dev", name)
            _do("ip", "-n", name, *words)
    handle = os.open(f"/run/netns/{name}", os.O_RDONLY)
    enter(handle)
    return {str(target["name"]): echoes(str(target["address"])) for target in targets}


def enter(handle: int) -> None:
    """Go into a network namespace with this process (setns(2))."""
    if hasattr(os, "setns"):
        os.setns(handle, 0)
        return
    import ctypes  # noqa: PLC0415 - before Python 3.12 alone

    if ctypes.CDLL(None, use_errno=True).setns(handle, 0) != 0:
        sys.exit("setns")


def echoes(address: str) -> int:
    """How many of a few ICMP echoes come back (RFC 792)."""
    came = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
        for number in range(ECHOES):
            try:
                wire.sendto(_echo(number), (address, 0))
            except OSError:
                continue
            came += _came(wire, address, number)
    return came


def _came(wire: socket.socket, address: str, number: int) -> bool:
    end = time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            packet, (source, _port) = wire.recvfrom(1500)
        except OSError:
            return False
        kind, _code, _sum, own, told = struct.unpack("!BBHHH", packet[20:28])
        if (source, kind, own, told) == (address, ECHO_REPLY, os.getpid() & 0xFFFF, number):
            return True
    return False


def _echo(number: int) -> bytes:
    body = struct.pack("!BBHHH", ECHO, 0, 0, os.getpid() & 0xFFFF, number) + b"canary of the audit "
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
