"""What a component's secrets mean while they are rotated: which accounts and keys hold, which do no more.

OpenBao keeps the state of a rotation beside the secret itself, in the same versioned entry:

``NAME``            what is used
``NAME_account``    the account that it belongs to, once it was rotated
``NAME_rotation``   how far a rotation got; absent when none is under way
``NAME_other``      the value that comes, or that goes
``NAME_former``     of a ring of keys, the one that only reads
``NAME_number``     of a ring of keys, the number of the one that writes

No library is needed here: Ansible's look-ups load this in each process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

type Values = Mapping[str, object]
State = Literal["staged", "switched", "retired"]
STATES: tuple[State, ...] = ("staged", "switched", "retired")
"""The new is made; the new is used; the old is not accepted any more."""

SECOND = "-b"
FIRST_NUMBER = 1
RING = ("0", "1")
"""Of a ring, what its keys are called in OpenBao: the one that comes, the one that writes."""
GONE = 8
"""How many numbers below the ring are removed from a node: a node may have missed some rotations."""


@dataclass(frozen=True)
class Account:
    """A name and its password."""

    name: str
    password: str


def state_of(values: Values, name: str) -> State | None:
    """How far the rotation of a secret got; None when there is none under way."""
    return next((state for state in STATES if values.get(f"{name}_rotation") == state), None)


def account(values: Values, component: str, name: str) -> Account:
    """The account that services use."""
    return Account(str(values.get(f"{name}_account", component)), str(values[name]))


def counterpart(account_name: str, component: str) -> str:
    """The other of a component's two accounts, which are used in turn."""
    return component + SECOND if account_name == component else component


def accepted(values: Values, component: str, name: str) -> tuple[Account, ...]:
    """All accounts that the server must let in, the one in use first."""
    used = account(values, component, name)
    if state_of(values, name) in {"staged", "switched"}:
        other = Account(counterpart(used.name, component), str(values[f"{name}_other"]))
        return used, other
    return (used,)


def refused(values: Values, component: str, name: str) -> tuple[str, ...]:
    """Accounts that the server must not have; none as long as nothing was ever rotated."""
    known = f"{name}_account" in values or f"{name}_rotation" in values
    used = account(values, component, name).name
    if not known or len(accepted(values, component, name)) > 1:
        return ()
    return (counterpart(used, component),)


def ring(values: Values, name: str) -> dict[int, str]:
    """The keys of a ring by number, as Keystone numbers them: 0 comes next, the highest one writes.

    Source: https://docs.openstack.org/keystone/2025.1/admin/fernet-token-faq.html
    """
    number = int(str(values.get(f"{name}_number", FIRST_NUMBER)))
    staged, primary = (str(values[f"{name}_{key}"]) for key in RING)
    former = values.get(f"{name}_former")
    kept = {number - 1: str(former)} if former and state_of(values, name) != "retired" else {}
    return {0: staged, **kept, number: primary}


def gone(values: Values, name: str) -> tuple[int, ...]:
    """Numbers of keys that must not be on a node any more."""
    there = ring(values, name)
    highest = max(there)
    return tuple(n for n in range(max(1, highest - GONE), highest) if n not in there)
