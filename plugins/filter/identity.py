"""What Keystone must hold, from the service catalogue: accounts of services and published endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Entries = Mapping[str, Mapping[str, Any]]


def identity_users(catalogue: Entries) -> list[str]:
    """Components that have an account at Keystone, in the catalogue's order."""
    return [name for name, entry in catalogue.items() if (entry.get("identity") or {}).get("user")]


def identity_accounts(
    catalogue: Entries, logins: Mapping[str, Mapping[str, Any]], own: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    """Accounts with their roles in their project.

    Args:
        logins: what ``account`` looks up for each.
        own: the provider's own accounts with their roles.
    """
    roles = {
        name: list(catalogue[name]["identity"].get("roles") or ["service"])
        for name in identity_users(catalogue)
    }
    return [
        {**account, "roles": held, "provider": name in own}
        for name, held in (roles | dict(own)).items()
        for account in logins[name]["accepted"]
    ]


def identity_former(
    logins: Mapping[str, Mapping[str, Any]], own: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    """Accounts that a rotation has retired."""
    return [
        {"name": former, "provider": name in own}
        for name, login in logins.items()
        for former in login["refused"]
    ]


def key_files(ring: Mapping[str, Any], folder: str) -> list[dict[str, Any]]:
    """The files of a ring of keys, and those that must be gone, for the module ``bundle``."""
    owned = {"owner": "keystone", "group": "keystone", "mode": "0600", "secret": True}
    return [
        *({"path": f"{folder}/{number}", "content": key, **owned} for number, key in ring["keys"].items()),
        *({"path": f"{folder}/{number}", "state": "absent"} for number in ring["gone"]),
    ]


def identity_services(catalogue: Entries, urls: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """Services with the URL of each of their interfaces; what internal callers use serves as `admin` too."""
    published = {
        name: entry["identity"]["service"]
        for name, entry in catalogue.items()
        if (entry.get("identity") or {}).get("service")
    }
    return [
        {
            "name": service["name"],
            "type": service["type"],
            "description": catalogue[name]["title"],
            "public": urls[name]["public"] + service["path"],
            "internal": urls[name]["internal"] + service["path"],
            "admin": urls[name]["internal"] + service["path"],
        }
        for name, service in published.items()
    ]


class FilterModule:
    """Filters of the role that deploys Keystone."""

    def filters(self) -> dict[str, Any]:
        """Names under which templates find them."""
        return {
            "identity_users": identity_users,
            "identity_accounts": identity_accounts,
            "identity_former": identity_former,
            "key_files": key_files,
            "identity_services": identity_services,
        }
