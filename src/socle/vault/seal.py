"""The seal of OpenBao's nodes: what state they are in, and how the custodians open them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import requests
from hvac.exceptions import InternalServerError, InvalidRequest

from socle.errors import Cause, ExitCode, SocleError
from socle.vault.api import client, plainly
from socle.vault.custody import Shares, ask, shares_of
from socle.vault.place import Place, VaultNode
from socle.vault.trust import unreachable

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
        states = wait(place, lambda now: any(s.active for s in now))
    for state in states:
        if state.active:
            return state
    if any(s.reachable for s in states):
        raise sealed(place)
    raise unreachable(place, reasons(states))


def reasons(states: tuple[NodeStatus, ...]) -> str:
    """Why nodes do not answer."""
    return "; ".join(s.reason for s in states if s.reason)


def sealed(place: Place, missing: int | None = None) -> SocleError:
    """OpenBao is sealed.

    Args:
        missing: how many shares it still wants, when it has some.
    """
    return SocleError(
        "OpenBao is sealed" if missing is None else f"OpenBao is sealed still: {missing} shares are missing",
        where=", ".join(node.url for node in place.nodes),
        expected=f"{place.threshold} unseal shares",
        write="run `socle vault unseal` with the custodians",
        exit_code=ExitCode.UNREACHABLE,
        cause=Cause.OPENBAO_SEALED,
    )


def not_initialised(place: Place) -> SocleError:
    """OpenBao is empty, and its seal is to be split among people who are not asked by this command."""
    return SocleError(
        "OpenBao is not initialised",
        where=", ".join(node.url for node in place.nodes),
        write="run `socle vault init`, then `socle vault unseal` with the custodians",
        exit_code=ExitCode.UNREACHABLE,
        cause=Cause.OPENBAO_NOT_INITIALISED,
    )


def wait(place: Place, reached: Any) -> tuple[NodeStatus, ...]:
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


def unseal(place: Place, shares: Shares | None = None) -> tuple[str, ...]:
    """Unseal every sealed node; the names of those that were.

    A node keeps what it was given: fewer shares than needed bring it forward, another call goes on.

    Args:
        shares: who gives them; when nobody is named, begin anew with what this machine has, if it has some.

    Raises:
        SocleError: not enough shares, wrong ones, or a node does not join (exit code 6 when still sealed).
    """
    states = status(place)
    if not any(s.reachable for s in states):
        raise unreachable(place, reasons(states))
    closed = [s for s in states if s.reachable and s.sealed]
    if not closed:
        return ()
    if place.seal == "shamir":
        if not any(s.initialised for s in states):
            raise not_initialised(place)
        with plainly(place):
            _give(place, closed, shares)
    names = tuple(s.node.name for s in closed)
    wait(
        place,
        lambda now: any(s.active for s in now) and not any(s.sealed for s in now if s.node.name in names),
    )
    return names


def _give(place: Place, closed: list[NodeStatus], shares: Shares | None) -> None:
    """Give each share to all nodes that take one, then all of them to the nodes that join afterwards."""
    first = [s.node for s in closed if s.initialised]
    later = [s.node for s in closed if not s.initialised]
    # Where this machine has no share, that is said before what custodians gave the nodes is thrown away.
    coming = (shares or shares_of(place))(ask(place, "OpenBao is sealed", "unseal"))
    if shares is None:
        for node in first:
            client(place, node).sys.submit_unseal_key(reset=True)
    given: list[str] = []
    left = dict.fromkeys(first, place.threshold)
    for share in coming:
        given.append(share)
        left = {node: missing for node in left if (missing := _submit(place, node, share))}
        if not left and (not later or len(given) >= place.threshold):
            break
    missing = max([*left.values(), place.threshold - len(given) if later else 0], default=0)
    if missing > 0:
        raise sealed(place, missing)
    for node in later:
        wait(place, lambda states, joined=node: all(s.initialised for s in states if s.node == joined))
        for share in given:
            _submit(place, node, share)


def _submit(place: Place, node: VaultNode, share: str) -> int:
    """Give a node one share; how many it still wants."""
    try:
        answer = client(place, node).sys.submit_unseal_key(share)
    except (InvalidRequest, InternalServerError) as error:
        reason = "; ".join(str(e) for e in error.errors or [error])
        raise SocleError(
            f"the shares are not right: {reason}",
            where=node.name,
            expected="what each custodian's message decrypts to",
            write="begin again with `socle vault unseal`",
        ) from error
    # A node that joins has what it needs when it counts from nothing again; it opens in its own time.
    return int(answer["t"] - answer["progress"]) if answer["sealed"] and answer["progress"] else 0
