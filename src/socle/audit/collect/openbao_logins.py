"""Who may log in to OpenBao and do what there: people, machines, policies, tokens that live."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any, Final

from hvac.exceptions import InvalidPath, InvalidRequest

from socle.audit.collect.openbao_session import Session
from socle.vault.people import MOUNT

BUILT_IN: Final = frozenset({"root"})
"""Policies without a text."""

APPROLE: Final = (
    "bind_secret_id",
    "secret_id_bound_cidrs",
    "secret_id_num_uses",
    "secret_id_ttl",
    "token_bound_cidrs",
    "token_max_ttl",
    "token_no_default_policy",
    "token_period",
    "token_policies",
    "token_ttl",
)
USER: Final = ("token_max_ttl", "token_no_default_policy", "token_policies", "token_ttl")
METHOD: Final = ("algorithm", "digits", "key_size", "max_validation_attempts", "name", "period", "skew")


def fingerprint(text: str) -> str:
    """The hash by which policies are compared."""
    return hashlib.sha256(text.strip().encode()).hexdigest()[:32]


def policies(session: Session) -> dict[str, str]:
    """Fingerprint of the text of each policy; the accessor of people's logins is told as its mount."""
    accessor = str(session.data("sys/auth")[f"{MOUNT}/"]["accessor"])
    return {
        name: fingerprint(str(session.data(f"sys/policies/acl/{name}")["policy"]).replace(accessor, MOUNT))
        for name in session.names("sys/policies/acl")
        if name not in BUILT_IN
    }


def auth_methods(session: Session) -> dict[str, Any]:
    """Ways to log in; of those with passwords, after how many failures an account is locked, in seconds."""
    found: dict[str, Any] = {}
    for path, method in sorted(session.data("sys/auth").items()):
        entry: dict[str, Any] = {"type": method["type"]}
        lockout = method["config"].get("user_lockout_config")
        if lockout:
            entry["lockout"] = {
                "disabled": lockout["user_lockout_disable"],
                "failures": lockout["user_lockout_threshold"],
                "seconds": lockout["user_lockout_duration"],
                "counted_seconds": lockout["user_lockout_counter_reset_duration"],
            }
        found[path.rstrip("/")] = entry
    return found


def people(session: Session) -> dict[str, Any]:
    """Accounts of people with their policies, identities with what they are known by, and groups.

    OpenBao makes an identity of each login of a machine; one is told if it was given policies of its own.
    """
    users = {
        login: _only(session.data(f"auth/{MOUNT}/users/{login}"), USER)
        for login in session.names(f"auth/{MOUNT}/users")
    }
    entities = {}
    for name in session.names("identity/entity/name"):
        entity = session.data(f"identity/entity/name/{name}")
        aliases = [_alias(alias) for alias in entity["aliases"] or []]
        machine = aliases and all(alias["mount"] == "approle" for alias in aliases)
        if entity["policies"] or not machine:
            entities[name] = {
                "aliases": aliases,
                "disabled": entity["disabled"],
                "policies": sorted(entity["policies"] or []),
            }
    return {
        "logins": sorted(users),
        "users": users,
        "entities": entities,
        "groups": session.names("identity/group/name"),
    }


def _alias(alias: dict[str, Any]) -> dict[str, str]:
    """By what an identity is known; half of a machine's login is not told."""
    mount = str(alias["mount_type"])
    return {"mount": mount, "name": "role_id" if mount == "approle" else str(alias["name"])}


def second_factor(session: Session) -> dict[str, Any]:
    """Methods, and which logins they are asked of; accessors of mounts are told as their paths."""
    mounts = {str(m["accessor"]): path.rstrip("/") for path, m in session.data("sys/auth").items()}
    methods, names = [], {}
    for identifier in session.names("identity/mfa/method/totp"):
        method = session.data(f"identity/mfa/method/totp/{identifier}")
        names[identifier] = str(method["name"])
        methods.append(_only(method, METHOD))
    enforced = []
    for name in session.names("identity/mfa/login-enforcement"):
        one = session.data(f"identity/mfa/login-enforcement/{name}")
        enforced.append(
            {
                "name": name,
                "of": sorted(mounts.get(str(a), str(a)) for a in one["auth_method_accessors"]),
                "of_types": sorted(one["auth_method_types"]),
                "methods": sorted(names.get(str(m), str(m)) for m in one["mfa_method_ids"]),
            }
        )
    return {"methods": sorted(methods, key=lambda m: str(m["name"])), "enforced": enforced}


def approles(session: Session) -> dict[str, Any]:
    """Logins of machines; durations in seconds. OpenBao leaves ``/32`` out of addresses, here too."""
    found = {}
    for name in session.names("auth/approle/role"):
        role = _only(session.data(f"auth/approle/role/{name}"), APPROLE)
        for key in ("secret_id_bound_cidrs", "token_bound_cidrs"):
            role[key] = sorted(str(cidr).removesuffix("/32") for cidr in role[key] or [])
        found[name] = role
    return found


def tokens(session: Session) -> dict[str, Any]:
    """How many live, of which login, and those that should not; a token itself cannot be had from this."""
    counted: Counter[str] = Counter()
    rooted = endless = periodic = unbound = 0
    longest = 0
    for accessor in session.names("auth/token/accessors"):
        try:
            token = session.speaker.auth.token.lookup_accessor(accessor)["data"]
        except (InvalidPath, InvalidRequest):
            continue  # it ended since it was listed
        meta = token["meta"] or {}
        counted[str(meta.get("role_name") or meta.get("username") or token["display_name"])] += 1
        rooted += "root" in token["policies"]
        endless += not token["expire_time"]
        periodic += bool(token.get("period"))
        unbound += not token.get("bound_cidrs") and not str(token["path"]).startswith(f"auth/{MOUNT}/")
        longest = max(longest, int(token["ttl"]))
    return {
        "alive": sum(counted.values()),
        "of": dict(sorted(counted.items())),
        "root": rooted,
        "endless": endless,
        "periodic": periodic,
        "from_anywhere": unbound,
        "longest_seconds": longest,
    }


def _only(found: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: sorted(found[key]) if isinstance(found[key], list) else found[key] for key in keys}
