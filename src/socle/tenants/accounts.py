"""A tenant's logins in OpenBao, at ``kv/tenants/<siren>``: passwords of accounts, application credentials."""

from __future__ import annotations

import base64
import secrets as random
from collections.abc import Iterable, Mapping
from typing import Any

from socle.vault.mounts import KV

SEED_BYTES = 20
"""Of a second factor: what RFC 4226 (R6) recommends."""

UNKNOWN = "generated when the tenant is made"


def planned_passwords(speaker: Any, siren: str, accounts: Iterable[str]) -> dict[str, str]:
    """Passwords of a tenant's accounts; of those that are not made yet, a text in their place."""
    known, _version = _read(speaker, siren)
    return {account: known.get(account, UNKNOWN) for account in accounts}


def account_passwords(speaker: Any, siren: str, accounts: Iterable[str]) -> dict[str, str]:
    """Passwords of a tenant's accounts; missing ones are generated first (check-and-set).

    Raises:
        hvac.exceptions.VaultError: OpenBao refuses, or another run wrote at the same moment.
    """
    wanted = tuple(accounts)
    known, version = _read(speaker, siren)
    missing = [account for account in wanted if account not in known]
    if missing:
        known |= {account: random.token_urlsafe(24) for account in missing}
        _write(speaker, siren, known, version)
    return {account: known[account] for account in wanted}


def second_factors(speaker: Any, siren: str, people: Iterable[str]) -> dict[str, str]:
    """First seeds of the second factors of a tenant's people, in base32; missing ones are generated.

    Each waits beside the person's first password, under the person's name and `` totp``.
    """
    wanted = {person: f"{person} totp" for person in people}
    known, version = _read(speaker, siren)
    missing = [name for name in wanted.values() if name not in known]
    if missing:
        seeds = {name: base64.b32encode(random.token_bytes(SEED_BYTES)).decode() for name in missing}
        known |= seeds
        _write(speaker, siren, known, version)
    return {person: known[name] for person, name in wanted.items()}


def hand_over(identity: Any, domain: str, seeds: Mapping[str, str]) -> None:
    """Tell Keystone, which encrypts it, the seed of who has none; later ones are a person's own.

    Args:
        identity: openstacksdk's proxy, as the deployer.
        domain: name of the tenant's domain.
    """
    number = identity.find_domain(domain, ignore_missing=False).id
    for person, seed in seeds.items():
        user = identity.find_user(person, domain_id=number, ignore_missing=False).id
        if not any(one.type == "totp" for one in identity.credentials(user_id=user)):
            identity.create_credential(type="totp", blob=seed, user_id=user)


def keep_credential(speaker: Any, siren: str, environment: str, credential: Mapping[str, str]) -> None:
    """Lay the application credential of a tenant's environment where the tenant's own automation fetches it.

    Args:
        credential: ``id``, ``secret``, ``auth_url`` and ``region``.
    """
    path = f"{siren}/{environment}"
    known, version = _read(speaker, path)
    if known != credential:
        _write(speaker, path, credential, version)


def _read(speaker: Any, path: str) -> tuple[dict[str, str], int]:
    found = speaker.read(f"{KV}/data/tenants/{path}")
    if not found:
        return {}, 0
    return dict(found["data"]["data"] or {}), int(found["data"]["metadata"]["version"])


def _write(speaker: Any, path: str, data: Mapping[str, str], version: int) -> None:
    speaker.write_data(f"{KV}/data/tenants/{path}", data={"data": dict(data), "options": {"cas": version}})
