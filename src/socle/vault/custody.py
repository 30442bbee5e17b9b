"""Who holds the shares of the seal: the custodians, each by a PGP key, and who gives theirs when asked.

OpenBao encrypts each share to its custodian before it answers, so none is ever in clear on this machine until
the custodian types it. What it answered is the record ``custody.json`` of the state folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.vault import pgp
from socle.vault.place import Custodian, Place

RECORD = "custody.json"
FORMER = "keys.json"
"""Shares in clear, of a lab that was made before there were custodians."""


@dataclass(frozen=True)
class Ask:
    """What shares are asked for, and to whom they were encrypted."""

    purpose: str
    command: str
    """The ``socle vault`` command with which the custodians do it."""
    shares: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Login to the fingerprint and the message."""


type Shares = Callable[[Ask], Iterator[str]]
"""Gives decrypted shares one after another, as long as it has some."""


def record(place: Place) -> dict[str, Any]:
    """What OpenBao answered when it was initialised or rekeyed; empty before."""
    return durable.read_json(place.folder / RECORD)


def ask(place: Place, purpose: str, command: str) -> Ask:
    """A question to those who hold the shares that are in force."""
    return Ask(purpose, command, record(place).get("shares", {}))


def shares_of(place: Place) -> Shares:
    """Who gives shares when nobody is at a prompt."""
    former = durable.read_json(place.folder / FORMER).get("shares")
    if former:
        return lambda _ask: iter(former)
    if place.custody == "test-custodians":
        return lambda asked: played(place, asked)
    return lambda asked: nobody(place, asked)


def nobody(place: Place, asked: Ask) -> Iterator[str]:
    """No share is on this machine: say which command the custodians are to run."""
    raise SocleError(
        f"{asked.purpose}: {place.threshold} custodians are needed",
        where=", ".join(node.url for node in place.nodes),
        write=f"run `socle vault {asked.command}` with them",
        exit_code=ExitCode.UNREACHABLE,
    )


def played(place: Place, asked: Ask) -> Iterator[str]:
    """The parts of the test custodians: each decrypts the message to them with the key made for them."""
    for login, share in asked.shares.items():
        yield keyring(place, login).decrypt(pgp.armour(share["message"])).strip()


def keyring(place: Place, login: str) -> pgp.Keyring:
    """Where a test custodian's private key is."""
    return pgp.Keyring(place.state / "custodians" / login)


@dataclass(frozen=True)
class Holder:
    """A custodian whose key was looked at."""

    login: str
    fingerprint: str
    key: str
    """The public key in base64, as OpenBao wants it."""


def holders(place: Place) -> tuple[Holder, ...]:
    """The custodians with keys to which their shares can be encrypted, in the order of people.yml.

    Raises:
        SocleError: there are not as many as shares, GnuPG is missing, a key is of no use (exit code 4), or is
            that of two.
    """
    pgp.require()
    if len(place.custodians) != place.shares:
        raise SocleError(
            f"{len(place.custodians)} custodian(s) for {place.shares} shares",
            where=f"{place.site}/people.yml",
            write="name one custodian for each share",
            exit_code=ExitCode.INVALID_SITE,
        )
    found = tuple(_holder(place, custodian) for custodian in place.custodians)
    owners: dict[str, str] = {}
    for one in found:
        owner = owners.setdefault(one.fingerprint, one.login)
        if owner != one.login:
            raise SocleError(
                f"the PGP key {one.fingerprint} is also that of {owner}",
                where=f"{place.site}/people.yml: {one.login}",
                expected="one key for each custodian",
                exit_code=ExitCode.INVALID_SITE,
            )
    return found


def _holder(place: Place, custodian: Custodian) -> Holder:
    where = f"{place.site}/people.yml: {custodian.login}"
    try:
        armoured = _public_key(place, custodian)
        found = pgp.inspect(armoured)
        key = pgp.body(armoured)
    except SocleError as error:
        if error.exit_code == ExitCode.PREREQUISITE:
            raise
        raise SocleError(
            f"the PGP key {error.what}", where=where, expected=error.expected, exit_code=ExitCode.PREREQUISITE
        ) from error
    if found.fault:
        raise SocleError(
            f"the PGP key {found.fingerprint} {found.fault}",
            where=where,
            write="put a valid one in its place",
            exit_code=ExitCode.PREREQUISITE,
        )
    return Holder(custodian.login, found.fingerprint, key)


def _public_key(place: Place, custodian: Custodian) -> str:
    if place.custody == "test-custodians":
        return keyring(place, custodian.login).public(custodian.name, custodian.email)
    return custodian.pgp_key or ""


def encrypted(to: tuple[Holder, ...], messages: list[str]) -> dict[str, dict[str, str]]:
    """Shares as the record holds them.

    Args:
        messages: in base64, in the order of the custodians.
    """
    pairs = zip(to, messages, strict=True)
    return {one.login: {"fingerprint": one.fingerprint, "message": message} for one, message in pairs}
