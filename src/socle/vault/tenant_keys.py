"""The tenants' transit keys: who may use them, who may delete them, and how they die.

A tenant's domain has one key, ``<name of the domain>.<id of the domain>``. Barbican makes and uses it
(``socle_barbican``); nobody can read it. Deleting it makes all that it wrapped unreadable: the tenant's
secrets in Barbican, hence its encrypted volumes, and every copy of Barbican's database.
"""

from __future__ import annotations

from typing import Any

from socle.errors import ExitCode, SocleError
from socle.vault.api import plainly
from socle.vault.place import Place

MOUNT = "tenants"
KEY_TYPE = "aes256-gcm96"
ERASER = "eraser"


def use() -> dict[str, dict[str, Any]]:
    """What Barbican may do: make a key of the one type that cannot be exported, and use each."""
    made = {"capabilities": ["create", "read", "update"], "allowed_parameters": {"type": [KEY_TYPE]}}
    return {
        f"{MOUNT}/keys/+": made,
        f"{MOUNT}/encrypt/+": {"capabilities": ["update"]},
        f"{MOUNT}/decrypt/+": {"capabilities": ["update"]},
        "auth/token/renew-self": {"capabilities": ["update"]},
        "auth/token/revoke-self": {"capabilities": ["update"]},
    }


def erasing() -> dict[str, dict[str, Any]]:
    """What the erasure may do: find keys, let them be deleted, delete them. It can use none."""
    allowed = {"capabilities": ["update"], "allowed_parameters": {"deletion_allowed": [True]}}
    return {
        f"{MOUNT}/keys": {"capabilities": ["list"]},
        f"{MOUNT}/keys/+": {"capabilities": ["delete"]},
        f"{MOUNT}/keys/+/config": allowed,
    }


def keys_of(speaker: Any, domain: str) -> tuple[str, ...]:
    """Names of the keys of a domain: one, or none, or more when the domain was made anew."""
    listed = speaker.list(f"{MOUNT}/keys")
    names = listed["data"]["keys"] if listed else []
    return tuple(sorted(name for name in names if name.startswith(f"{domain}.")))


def erase(place: Place, speaker: Any, domain: str) -> tuple[str, ...]:
    """Delete all keys of a domain for good; the names of those that were deleted.

    Safe to kill and to repeat: a key is there and complete, or gone.

    Raises:
        SocleError: OpenBao refuses or does not answer; or a key came back while it was done.
    """
    with plainly(place):
        doomed = keys_of(speaker, domain)
        for name in doomed:
            speaker.write_data(f"{MOUNT}/keys/{name}/config", data={"deletion_allowed": True})
            speaker.delete(f"{MOUNT}/keys/{name}")
        left = keys_of(speaker, domain)
    if left:
        raise SocleError(
            f"{', '.join(left)}: made anew meanwhile by somebody who stored a secret",
            where=f"OpenBao {MOUNT}/keys",
            write="disable the tenant's domain in Keystone, then erase again",
            exit_code=ExitCode.FAILED,
        )
    return doomed
