"""Initialise, unseal and watch OpenBao, and get a root token by quorum."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.vault import remote
from socle.vault.api import client, plainly
from socle.vault.place import Place, VaultNode
from socle.vault.trust import unreachable

KEYS = "keys.json"
PENDING = "initialising"
WAIT = 60.0


@dataclass(frozen=True)
class NodeStatus:
    """What one node of OpenBao says of itself."""

    node: VaultNode
    reachable: bool
    initialised: bool = False
    sealed: bool = True
    active: bool = False
    version: str = ""
    cluster_id: str = ""
    reason: str = ""


def status(place: Place) -> tuple[NodeStatus, ...]:
    """The state of every node; one that does not answer is told as such."""
    return tuple(_node_status(place, node) for node in place.nodes)


def _node_status(place: Place, node: VaultNode) -> NodeStatus:
    try:
        answer = client(place, node).sys.read_health_status(method="GET")
        health = answer if isinstance(answer, dict) else answer.json()
    except (SocleError, requests.exceptions.RequestException) as error:
        return NodeStatus(node, reachable=False, reason=str(error))
    return NodeStatus(
        node,
        reachable=True,
        initialised=health["initialized"],
        sealed=health["sealed"],
        active=not health["sealed"] and not health.get("standby", False),
        version=health.get("version", ""),
        cluster_id=health.get("cluster_id", ""),
    )


def cluster_id(place: Place) -> str:
    """The identity of the unsealed cluster: another one after OpenBao was wiped."""
    return _ready(place).cluster_id


def active_node(place: Place) -> VaultNode:
    """The node that leads the others; a new leader is waited for.

    Raises:
        SocleError: OpenBao is sealed or does not answer (exit code 6).
    """
    return _ready(place).node


def _ready(place: Place) -> NodeStatus:
    states = status(place)
    if any(s.reachable and not s.sealed for s in states) and not any(s.active for s in states):
        states = _wait(place, lambda now: any(s.active for s in now))
    for state in states:
        if state.active:
            return state
    if any(s.reachable for s in states):
        raise sealed(place)
    raise unreachable(place, reasons(states))


def reasons(states: tuple[NodeStatus, ...]) -> str:
    """Why nodes do not answer."""
    return "; ".join(s.reason for s in states if s.reason)


def sealed(place: Place) -> SocleError:
    """OpenBao is sealed and this machine has no shares to open it."""
    return SocleError(
        "OpenBao is sealed",
        where=", ".join(node.url for node in place.nodes),
        expected=f"{place.threshold} unseal shares",
        write="run `bao operator unseal` with the custodians",
        exit_code=ExitCode.UNREACHABLE,
    )


def initialise(place: Place) -> bool:
    """Initialise OpenBao unless it is; true when this call did.

    The answer, which holds the unseal shares and the root token, exists only once. So the intent is on disk
    before the request, and the answer before anything else is done. After a kill in between, the intent is
    still there and the shares are not: nobody ever had a token, so the storage holds nothing and is deleted
    to begin again.

    Raises:
        SocleError: the site asks for a seal or a custody that is not available, or OpenBao does not answer.
    """
    _refuse_what_is_not_made(place)
    keys, pending = place.folder / KEYS, place.folder / PENDING
    states = status(place)
    if not all(s.reachable for s in states):
        raise unreachable(place, reasons(states))
    if any(s.initialised for s in states):
        if keys.exists() or not pending.exists():
            durable.remove(pending)
            return False
        _reset(place)
    elif keys.exists():
        _put_aside(place)
    durable.write(pending, datetime.now(UTC).isoformat() + "\n")
    with plainly(place):
        answer = client(place, place.nodes[0]).sys.initialize(place.shares, place.threshold)
    durable.write_json(keys, {"shares": answer["keys_base64"], "root_token": answer["root_token"]})
    durable.remove(pending)
    return True


def _refuse_what_is_not_made(place: Place) -> None:
    if place.seal != "shamir":
        raise SocleError(
            f"`seal: {place.seal}` is not available",
            where=f"{place.site}/site.yml",
            write="write `seal: shamir`",
            exit_code=ExitCode.PREREQUISITE,
        )
    if place.custody != "local" and not (place.folder / KEYS).exists():
        raise SocleError(
            "custody of the unseal shares by the custodians is not available",
            where=f"{place.site}/site.yml",
            write="write `custody: local`",
            exit_code=ExitCode.PREREQUISITE,
        )


def _reset(place: Place) -> None:
    for node in place.nodes:
        remote.reset(place, node)
    _wait(place, lambda states: all(s.reachable and not s.initialised for s in states))


def _put_aside(place: Place) -> None:
    """OpenBao is empty but was not: what belongs to the former one is kept under a name of its own."""
    former = place.folder / f"former-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    former.mkdir(mode=0o700)
    for path in sorted(place.folder.iterdir()):
        if path.is_file():
            path.rename(former / path.name)
    if place.ca_file.exists():
        place.ca_file.rename(former / place.ca_file.name)
    durable.sync_folder(place.folder)


def _wait(place: Place, reached: Any) -> tuple[NodeStatus, ...]:
    """Look at all nodes until they are as wanted."""
    end = time.monotonic() + WAIT
    while True:
        states = status(place)
        if reached(states):
            return states
        if time.monotonic() > end:
            told = ", ".join(
                f"{s.node.name} {s.reason or ('sealed' if s.sealed else 'unsealed')}" for s in states
            )
            raise SocleError(
                f"OpenBao is not ready after {WAIT:.0f} s: {told}",
                write="check `journalctl -u openbao` on the nodes",
                exit_code=ExitCode.UNREACHABLE,
            )
        time.sleep(0.2)


def unseal(place: Place) -> tuple[str, ...]:
    """Unseal every sealed node with the shares of the state folder; the names of those that were.

    Raises:
        SocleError: sealed and no shares here, or a node does not join (exit code 6).
    """
    states = status(place)
    if not any(s.reachable for s in states):
        raise unreachable(place, reasons(states))
    closed = [s.node for s in states if s.reachable and s.sealed]
    if not closed:
        return ()
    shares = durable.read_json(place.folder / KEYS).get("shares")
    if not shares:
        raise sealed(place)
    for node in closed:
        _unseal(place, node, shares)
    _wait(
        place, lambda now: any(s.active for s in now) and not any(s.sealed for s in now if s.node in closed)
    )
    return tuple(node.name for node in closed)


def _unseal(place: Place, node: VaultNode, shares: list[str]) -> None:
    """Give one node its shares, once it has joined the others and knows that it is initialised."""
    _wait(place, lambda states: all(s.initialised for s in states if s.node == node))
    with plainly(place):
        speaker = client(place, node)
        if speaker.sys.read_seal_status()["progress"]:
            speaker.sys.submit_unseal_key(reset=True)
        for share in shares[: place.threshold]:
            speaker.sys.submit_unseal_key(share)


def root_token(place: Place) -> str:
    """The first root token while it lives, else a new one by quorum of the shares.

    Raises:
        SocleError: the shares are not on this machine.
    """
    kept = durable.read_json(place.folder / KEYS)
    speaker = client(place, active_node(place))
    if kept.get("root_token"):
        speaker.token = kept["root_token"]
        with plainly(place):
            if speaker.is_authenticated():
                return str(kept["root_token"])
    if not kept.get("shares"):
        raise SocleError(
            "OpenBao must be configured anew and the unseal shares are not on this machine",
            where=str(place.folder / KEYS),
            write="run the command where the shares are",
            exit_code=ExitCode.PREREQUISITE,
        )
    with plainly(place):
        return _generate_root(client(place, active_node(place)), kept["shares"], place.threshold)


def _generate_root(speaker: Any, shares: list[str], threshold: int) -> str:
    speaker.sys.cancel_root_generation()
    attempt = speaker.adapter.put("/v1/sys/generate-root/attempt", json={})
    nonce, otp = attempt["nonce"], attempt["otp"]
    answer: Any = {}
    for share in shares[:threshold]:
        answer = speaker.sys.generate_root(share, nonce)
    encoded = answer["encoded_token"]
    mixed = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(mixed, otp.encode(), strict=True)).decode()


def forget_root_token(place: Place) -> None:
    """Drop the first root token from the state folder, once it is revoked."""
    path: Path = place.folder / KEYS
    kept = durable.read_json(path)
    if kept.pop("root_token", None):
        durable.write_json(path, kept)
