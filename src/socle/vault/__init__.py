"""OpenBao from the deploying machine: initialise, unseal, configure, secrets, logins.

A deployment calls, once the playbook ``vault.yml`` has run: ``place_of``, then ``prepare``, and gives
``ansible_environment`` to every further playbook.
"""

from __future__ import annotations

from collections.abc import Callable

from socle.vault.api import plainly
from socle.vault.ceremony import initialise, rekey
from socle.vault.configuration import configure
from socle.vault.custody import FORMER, Shares, played, shares_of
from socle.vault.generated import ensure_secrets
from socle.vault.login import (
    account,
    ansible_environment,
    audit_key,
    audit_signer,
    auditor_account,
    auditor_client,
    canary_client,
    eraser_client,
    secret,
    ssh_certificate,
    stack_key,
    stacks_client,
    stacks_environment,
)
from socle.vault.place import Place, place_of
from socle.vault.seal import NodeStatus, not_initialised, status, unseal

__all__ = [
    "NodeStatus",
    "Place",
    "Shares",
    "account",
    "ansible_environment",
    "audit_key",
    "audit_signer",
    "auditor_account",
    "auditor_client",
    "canary_client",
    "configure",
    "ensure_secrets",
    "eraser_client",
    "initialise",
    "place_of",
    "plainly",
    "prepare",
    "rekey",
    "secret",
    "ssh_certificate",
    "stack_key",
    "stacks_client",
    "stacks_environment",
    "status",
    "unseal",
]


def prepare(place: Place, tell: Callable[[str], None] = lambda _line: None) -> bool:
    """Bring OpenBao from whatever state it is in to ready; true when something was done.

    Where the custodians are people, this machine does only what needs no share; what needs some is said, with
    the command to run. Where it plays their parts, it does that too. Safe to kill and to repeat.

    Args:
        tell: gets one line for each thing that was done.

    Raises:
        SocleError: it does not answer, or the custodians are needed (exit code 6).
    """
    done = []
    if place.custody == "custodians" and all(s.reachable and not s.initialised for s in status(place)):
        raise not_initialised(place)
    if initialise(place):
        done.append(f"OpenBao is initialised: {place.shares} shares, {place.threshold} open it")
    opened = unseal(place)
    if opened:
        done.append(f"OpenBao is unsealed on {', '.join(opened)}")
    if configure(place):
        done.append("OpenBao is configured and its root token revoked")
    if place.custody == "test-custodians" and (place.folder / FORMER).exists():
        rekey(place, shares_of(place), lambda asked: played(place, asked), lambda _line: None)
        done.append("OpenBao's shares, which were in clear, are replaced by the custodians'")
    made = ensure_secrets(place)
    if made:
        done.append(f"{len(made)} secrets are generated")
    for line in done:
        tell(line)
    return bool(done)
