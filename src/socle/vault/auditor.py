"""What the compliance suite may read of OpenBao: how it is configured, never what it keeps.

It writes nothing; it has a key signed by which it reads hosts for some minutes.

Names that no file of the site knows must be seen too, so a word of a path may be any (``+``) where an
intruder could add one; no path ends in a wildcard that goes deeper.
"""

from __future__ import annotations

from typing import Any

from socle.vault import ssh, tenant_keys
from socle.vault.mounts import KV, PKI_ROOT, PKI_SERVICES, TRANSIT
from socle.vault.place import Place

NAME = "auditor"
"""Of its AppRole and its policy. People who audit have another policy, ``role-auditor``."""

READ = {"capabilities": ["read"]}
LIST = {"capabilities": ["list"]}
SERVICES = f"{KV}/metadata/services"
TRANSIT_MOUNTS = (TRANSIT, tenant_keys.MOUNT)
PKI_MOUNTS = (PKI_ROOT, PKI_SERVICES)
SSH_MOUNTS = (ssh.USER_MOUNT, ssh.HOST_MOUNT)


def rules(place: Place) -> dict[str, dict[str, Any]]:
    """The policy: names, settings, ages and public keys.

    ``sudo`` is what OpenBao asks of whoever lists audit devices and tokens; looking a token up by its
    accessor is an update by its method alone. Keys of transit show when they were made and, of key pairs,
    their public half; metadata of KV shows versions and times.
    """
    return {
        **_system(),
        **_logins(),
        **{f"{mount}/keys": LIST for mount in TRANSIT_MOUNTS},
        **{f"{mount}/keys/+": READ for mount in TRANSIT_MOUNTS},
        **{f"{mount}/{what}": LIST for mount in PKI_MOUNTS for what in ("issuers", "roles")},
        **{f"{mount}/{what}/+": READ for mount in PKI_MOUNTS for what in ("issuer", "roles")},
        **{f"{mount}/roles": LIST for mount in SSH_MOUNTS},
        **{f"{mount}/roles/+": READ for mount in SSH_MOUNTS},
        **ssh.rules_of_audit(),
        SERVICES: LIST,
        **{f"{SERVICES}/{component}": READ for component in place.secrets},
    }


def _system() -> dict[str, dict[str, Any]]:
    return {
        "sys/audit": {"capabilities": ["read", "sudo"]},
        "sys/auth": READ,
        "sys/config/state/sanitized": READ,
        "sys/key-status": READ,
        "sys/mounts": READ,
        "sys/mounts/auth/userpass/tune": READ,
        "sys/policies/acl": LIST,
        "sys/policies/acl/+": READ,
        "sys/rotate/config": READ,
        "sys/storage/raft/configuration": READ,
    }


def _logins() -> dict[str, dict[str, Any]]:
    return {
        "auth/approle/role": LIST,
        "auth/approle/role/+": READ,
        "auth/token/accessors": {"capabilities": ["list", "sudo"]},
        "auth/token/lookup-accessor": {"capabilities": ["update"]},
        "auth/token/roles": LIST,
        "auth/userpass/users": LIST,
        "auth/userpass/users/+": READ,
        "identity/entity/name": LIST,
        "identity/entity/name/+": READ,
        "identity/group/name": LIST,
        "identity/group/name/+": READ,
        "identity/mfa/login-enforcement": LIST,
        "identity/mfa/login-enforcement/+": READ,
        "identity/mfa/method/totp": LIST,
        "identity/mfa/method/totp/+": READ,
    }
