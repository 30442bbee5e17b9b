"""What the roles of people.yml may do in OpenBao: those who hold keys, run machines and audit are apart."""

from __future__ import annotations

from typing import Any

from socle.vault import ssh
from socle.vault.mounts import KV, PKI_ROOT, PKI_SERVICES, TRANSIT
from socle.vault.place import Place
from socle.vault.policies import Rules

READ = {"capabilities": ["read"]}
LIST = {"capabilities": ["list"]}
DO = {"capabilities": ["update"]}
EMERGENCY = {"capabilities": ["update", "sudo"]}

PERSON = "person"
ROLES = ("crypto-officer", "operator", "network-operator", "auditor")
"""Roles with work in OpenBao. Custodians need no login: their shares speak for them."""


def duties(place: Place) -> dict[str, Rules]:
    """The policy of each role: its work in OpenBao, and a certificate for its sessions on nodes."""
    own = {
        "crypto-officer": crypto_officer(place),
        "operator": operator(),
        "network-operator": {},
        "auditor": auditor(place),
    }
    return {f"role-{role}": {**rules, **ssh.rules_of_person(role)} for role, rules in own.items()}


def policies_of(roles: tuple[str, ...]) -> list[str]:
    """The policies of a person."""
    return [PERSON, *(f"role-{role}" for role in ROLES if role in roles)]


def crypto_officer(place: Place) -> Rules:
    """Rotates and retires keys, ends certificates and machines' logins, seals. Reads no secret."""
    settings: dict[str, list[Any]] = {
        "deletion_allowed": [],
        "min_decryption_version": [],
        "min_encryption_version": [],
    }
    return {
        f"{TRANSIT}/keys": LIST,
        f"{TRANSIT}/keys/+": {"capabilities": ["read", "delete"]},
        f"{TRANSIT}/keys/+/rotate": DO,
        f"{TRANSIT}/keys/+/config": {**DO, "allowed_parameters": settings},
        f"{PKI_SERVICES}/revoke": DO,
        f"{PKI_SERVICES}/crl/rotate": READ,
        f"{PKI_SERVICES}/tidy": DO,
        **{f"auth/approle/role/{role}/secret-id": LIST for role in _machines(place)},
        **{f"auth/approle/role/{role}/secret-id-accessor/destroy": DO for role in _machines(place)},
        "sys/key-status": READ,
        "sys/rotate": EMERGENCY,
        "sys/seal": EMERGENCY,
    }


def _machines(place: Place) -> list[str]:
    return ["deployer", *(host.role for host in place.hosts)]


def operator() -> Rules:
    """Runs the nodes: members, leader, snapshots, which are encrypted. Sees neither keys nor who may what."""
    return {
        "sys/ha-status": READ,
        "sys/step-down": EMERGENCY,
        "sys/storage/raft/configuration": READ,
        "sys/storage/raft/autopilot/state": READ,
        "sys/storage/raft/remove-peer": DO,
        "sys/storage/raft/snapshot": READ,
    }


def auditor(place: Place) -> Rules:
    """Reads who may do what and what exists, but no secret; changes nothing."""
    return {
        "sys/policies/acl": LIST,
        "sys/policies/acl/+": READ,
        "sys/auth": READ,
        "sys/mounts": READ,
        "sys/audit": {"capabilities": ["read", "sudo"]},
        "sys/audit-hash/+": DO,
        "auth/approle/role": LIST,
        "auth/approle/role/+": READ,
        "auth/userpass/users": LIST,
        "auth/userpass/users/+": READ,
        "identity/entity/name": LIST,
        "identity/entity/name/+": READ,
        "identity/mfa/method/totp": LIST,
        "identity/mfa/method/totp/+": READ,
        "identity/mfa/login-enforcement": LIST,
        "identity/mfa/login-enforcement/+": READ,
        f"{TRANSIT}/keys": LIST,
        f"{TRANSIT}/keys/+": READ,
        f"{KV}/metadata/services": LIST,
        **{f"{KV}/metadata/services/{component}": READ for component in place.secrets},
        f"{PKI_SERVICES}/certs": LIST,
        f"{PKI_SERVICES}/cert/+": READ,
        f"{PKI_SERVICES}/roles": LIST,
        f"{PKI_SERVICES}/roles/+": READ,
        f"{PKI_ROOT}/certs": LIST,
    }


def person(accessor: str) -> Rules:
    """Everybody: their own session, and their own password.

    Args:
        accessor: of the mount ``userpass``.
    """
    own = f"auth/userpass/users/{{{{identity.entity.aliases.{accessor}.name}}}}/password"
    return {
        "auth/token/lookup-self": READ,
        "auth/token/renew-self": DO,
        "auth/token/revoke-self": DO,
        own: {**DO, "allowed_parameters": {"password": []}},
    }
