"""Audit devices, looked at before OpenBao stops: it refuses every request that none of them can record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from socle.errors import SocleError
from socle.vault import remote
from socle.vault.login import deployer
from socle.vault.place import Place, VaultNode
from socle.vault.seal import NodeStatus, status

CONFIGURATION = "/etc/openbao/openbao.hcl"
FREE_MIB = 1024
"""Room below which somebody must look."""

DAYS = 10
"""A file grows for a day before it is rotated: room for so many days must be left."""

INODES = 100
FRESH = 30.0
"""Seconds: an entry was made for the request that this check makes itself."""


@dataclass(frozen=True)
class Device:
    """One audit device of one node; sizes in MiB, age of the last entry in seconds."""

    node: str
    name: str
    path: str = ""
    free: int = 0
    size: int | None = None
    """None for the journal."""

    age: float | None = None
    fault: str | None = None


def devices(place: Place) -> tuple[Device, ...]:
    """Every device of every node that answers, with what is wrong.

    Logs in first, as the deploying machine: the node that leads must have recorded that everywhere. What the
    others record last says nothing, they pass requests on.
    """
    states = [state for state in status(place) if state.reachable]
    refused = _make_an_entry(place) if any(state.active for state in states) else None
    return tuple(device for state in states for device in _of_node(place, state, refused))


def _make_an_entry(place: Place) -> str | None:
    try:
        deployer(place)
    except SocleError as error:
        return error.what
    return None


def _of_node(place: Place, state: NodeStatus, refused: str | None) -> Iterator[Device]:
    if state.active and refused:
        yield Device(state.node.name, "all", fault=f"OpenBao refuses a login: {refused}")
    try:
        found = ask(place, state.node)
    except SocleError as error:
        yield Device(state.node.name, "all", fault=str(error))
        return
    if not found:
        yield Device(state.node.name, "none", fault=f"{CONFIGURATION} names no audit device")
    for one in found:
        leads = state.active and not refused
        fault = fault_of(one["free"], one["inodes"], one["size"], one["age"], leads=leads)
        facts = {key: one[key] for key in ("name", "path", "free", "size", "age")}
        yield Device(state.node.name, **facts, fault=fault)


def ask(place: Place, node: VaultNode) -> list[dict[str, Any]]:
    """What a node says of its devices."""
    script = files("socle.vault").joinpath("audit_facts.py").read_text(encoding="utf-8")
    answer = remote.run(place, node, f"sudo -n python3 - {CONFIGURATION}", script)
    return list(json.loads(answer))


def fault_of(free: int, inodes: int, size: int | None, age: float | None, *, leads: bool) -> str | None:
    """What is wrong with a device.

    Args:
        size: of its file since the last rotation; None for the journal, which makes room for itself
            (journald.conf(5), SystemMaxUse).
        leads: whether an entry was just made on this node.
    """
    needed = max(FREE_MIB, DAYS * (size or 0))
    if size is not None and free < needed:
        return f"{free} MiB are free where it writes; expected {needed}: make room, or OpenBao will stop"
    if size is not None and inodes < INODES:
        return f"{inodes} files can be made where it writes; expected {INODES} or more: remove some"
    if leads and (age is None or age > FRESH):
        since = "nothing" if age is None else f"{age:.0f} s ago was the last entry"
        return f"does not record: {since}; restart OpenBao if its file was moved"
    return None
