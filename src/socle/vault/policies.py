"""Who may do what in OpenBao: policies that name exact paths, and the AppRoles that carry them."""

from __future__ import annotations

import json
from typing import Any

from socle import signing
from socle.catalogue.accounts import AUDITOR, DEPLOYER
from socle.logs.sealing import HASH as LOGS_HASH
from socle.logs.sealing import KEY as LOGS_KEY
from socle.supply import release
from socle.vault import auditor, canary, ssh, tenant_keys
from socle.vault.mounts import KV, PKI_SERVICES, TRANSIT
from socle.vault.place import CertifiedHost, Place

WRAPPED = {"min_wrapping_ttl": "1s", "max_wrapping_ttl": "5m"}
CERTIFICATE_TTL = "720h"  # 30 days
ROTATION = "rotation"
AUDIT_SIGNER = "audit-signer"
STACK_KEY = {"allowed_parameters": {"type": ["aes256-gcm96"]}}
SEAL_KEY = {"allowed_parameters": {"type": ["ecdsa-p384"], "exportable": [False]}}
REKEY = {"init": ["update", "delete"], "update": ["update"], "verify": ["read", "update"]}
"""What the deploying machine does at each step of a rekey."""
PLATFORM_SECRETS = (DEPLOYER,)
"""Accounts with which the stacks log in."""

CLOUD_AUDITOR = "cloud-auditor"
"""The AppRole that reads how to log in to the cloud as its auditor, and nothing else."""

HANDED_OUT = (
    "ansible",
    "stacks",
    "snapshot",
    ROTATION,
    auditor.NAME,
    CLOUD_AUDITOR,
    AUDIT_SIGNER,
    canary.NAME,
    tenant_keys.ERASER,
)
"""AppRoles of which the deploying machine hands out logins that live for minutes."""

TENANT_SECRETS = ("+", "+/+")
"""Below a tenant's folder: the tenant's own secret, and one for each of its environments."""

NOTHING: dict[str, dict[str, Any]] = {"*": {"capabilities": ["deny"]}}
"""What OpenBao's policy ``default`` allows: whoever asks gets it without a login (GHSA-rh46-vc3j-w2w3)."""

SERVICES = {"barbican": tenant_keys.use()}
"""What a component may do that logs in itself."""

type Rules = dict[str, dict[str, Any]]


def policies(place: Place) -> dict[str, Rules]:
    """All policies by name."""
    return {
        "default": NOTHING,
        "deployer": deployer(place),
        "ansible": ansible(place),
        "stacks": stacks(),
        tenant_keys.ERASER: tenant_keys.erasing(),
        "snapshot": snapshot(),
        ROTATION: rotation(place),
        auditor.NAME: auditor.rules(place),
        CLOUD_AUDITOR: {f"{KV}/data/services/{AUDITOR}": {"capabilities": ["read"]}},
        "release": release.RULES,
        AUDIT_SIGNER: signing.rules(signing.AUDIT),
        canary.NAME: canary.rules(),
        **{host.role: of_host(host) for host in place.hosts},
        **{service.role: SERVICES[service.component] for service in place.services},
    }


def deployer(place: Place) -> Rules:
    """Creates missing secrets without reading any, and hands out logins that live for minutes.

    It also carries a rekey, which the custodians' shares alone bring to an end.
    """
    rules: Rules = {}
    for step, allowed in REKEY.items():
        rules[f"sys/rotate/{place.rekeyed}/{step}"] = {"capabilities": allowed}
    for component in place.secrets:
        rules[f"{KV}/subkeys/services/{component}"] = {"capabilities": ["read"]}
        rules[f"{KV}/data/services/{component}"] = {"capabilities": ["create", "patch"]}
    for role in HANDED_OUT:
        rules[f"auth/approle/role/{role}/secret-id"] = {"capabilities": ["create", "update"], **WRAPPED}
        rules[f"auth/approle/role/{role}/role-id"] = {"capabilities": ["read"]}
    return {**rules, **ssh.rules_of_deployer()}


def ansible(place: Place) -> Rules:
    """Reads the secrets of the components and gives hosts their login, always wrapped."""
    rules: Rules = {
        f"{KV}/data/services/{component}": {"capabilities": ["read"]} for component in place.secrets
    }
    roles = [host.role for host in place.hosts] + [service.role for service in place.services]
    for role in roles:
        rules[f"auth/approle/role/{role}/role-id"] = {"capabilities": ["read"]}
        rules[f"auth/approle/role/{role}/secret-id"] = {"capabilities": ["create", "update"], **WRAPPED}
    return rules


def stacks() -> Rules:
    """Encrypts the states of stacks, keeps the tenants' secrets, logs in to the cloud.

    Tenants come and go without custodians, so theirs are the only paths with wildcards. The one at the end of
    a key's name reaches what stands below the key too (``…/config``): with the parameter that is allowed no
    key becomes exportable or deletable. A secret's path has as many steps as it may have, since ``*`` would
    let ``..`` out of the tenants' folder (CVE-2026-3605).
    """
    rules: Rules = {f"{KV}/data/services/{name}": {"capabilities": ["read"]} for name in PLATFORM_SECRETS}
    rules[f"{TRANSIT}/keys/stack-*"] = {"capabilities": ["create", "read", "update"], **STACK_KEY}
    rules[f"{TRANSIT}/encrypt/stack-*"] = {"capabilities": ["update"]}
    rules[f"{TRANSIT}/decrypt/stack-*"] = {"capabilities": ["update"]}
    rules[f"{TRANSIT}/keys/{LOGS_KEY}"] = {"capabilities": ["read"]}
    for path in TENANT_SECRETS:
        rules[f"{KV}/data/tenants/{path}"] = {"capabilities": ["create", "read", "update", "patch"]}
        rules[f"{KV}/metadata/tenants/{path}"] = {"capabilities": ["read", "list", "delete"]}
    return rules


def snapshot() -> Rules:
    """Copies the storage, which is encrypted."""
    return {"sys/storage/raft/snapshot": {"capabilities": ["read"]}}


def rotation(place: Place) -> Rules:
    """Replaces the components' secrets and SSH's authorities, ends machines' former logins.

    It makes the login of the deploying machine, and no other.
    """
    rules: Rules = {
        f"{KV}/data/services/{component}": {"capabilities": ["read", "patch"]} for component in place.secrets
    }
    for role in ["deployer", *(h.role for h in place.hosts), *(s.role for s in place.services)]:
        rules[f"auth/approle/role/{role}/secret-id"] = {"capabilities": ["list"]}
        rules[f"auth/approle/role/{role}/secret-id-accessor/destroy"] = {"capabilities": ["update"]}
    own = {"capabilities": ["create", "update", "list"]}
    rules["auth/approle/role/deployer/secret-id"] = own
    return {**rules, **ssh.rules_of_rotation()}


def of_host(host: CertifiedHost) -> Rules:
    """A host gets certificates of its own names and addresses; the one that keeps the logs seals them."""
    rules: Rules = {f"{PKI_SERVICES}/sign/{host.role}": {"capabilities": ["update"], **_request(host)}}
    rules |= ssh.rules_of_host(host.role)
    if host.seals_logs:
        rules[f"{TRANSIT}/keys/{LOGS_KEY}"] = {"capabilities": ["create", "update"], **SEAL_KEY}
        rules[f"{TRANSIT}/sign/{LOGS_KEY}/{LOGS_HASH}"] = {"capabilities": ["update"]}
    return rules


def text(rules: Rules) -> str:
    """A policy in the JSON form of OpenBao's policy language."""
    return json.dumps({"path": rules}, indent=2, sort_keys=True)


def approles(place: Place) -> dict[str, dict[str, Any]]:
    """All AppRoles by name. Their tokens are good only from where they belong."""
    deploying = [_single(address) for address in place.deployers]
    short = {"secret_id_ttl": "5m", "secret_id_num_uses": 1}
    lasting: dict[str, Any] = {"secret_id_ttl": "0s", "secret_id_num_uses": 0}
    roles = {
        "deployer": _approle("deployer", deploying, "15m", "15m", lasting),
        "ansible": _approle("ansible", deploying, "2h", "2h", short),
        "stacks": _approle("stacks", deploying, "2h", "2h", short),
        "snapshot": _approle("snapshot", deploying, "15m", "15m", short),
        ROTATION: _approle(ROTATION, deploying, "2h", "2h", short),
        auditor.NAME: _approle(auditor.NAME, deploying, "15m", "15m", short),
        CLOUD_AUDITOR: _approle(CLOUD_AUDITOR, deploying, "15m", "15m", short),
        AUDIT_SIGNER: _approle(AUDIT_SIGNER, deploying, "15m", "15m", short),
        canary.NAME: _approle(canary.NAME, deploying, "15m", "15m", short),
    }
    roles[tenant_keys.ERASER] = _approle(tenant_keys.ERASER, deploying, "15m", "15m", short)
    for host in place.hosts:
        roles[host.role] = _approle(host.role, [_single(host.address)], "5m", "5m", lasting)
    for service in place.services:
        # Renewed as long as the service runs, and asked for anew once a day.
        roles[service.role] = _approle(service.role, [_single(service.address)], "1h", "24h", lasting)
    return roles


def _approle(
    policy: str, cidrs: list[str], ttl: str, max_ttl: str, secret_id: dict[str, Any]
) -> dict[str, Any]:
    return {
        "token_policies": [policy],
        "token_no_default_policy": True,
        "token_ttl": ttl,
        "token_max_ttl": max_ttl,
        "token_bound_cidrs": cidrs,
        "secret_id_bound_cidrs": cidrs,
        **secret_id,
    }


def _single(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _request(host: CertifiedHost) -> dict[str, Any]:
    """What a host may ask the PKI for: a role of it limits the names, but cannot say which addresses."""
    addresses = sorted({",".join(c.addresses) for c in host.certificates if c.addresses})
    asked: dict[str, list[str]] = {"csr": [], "alt_names": [], "ttl": []}
    return {"allowed_parameters": {**asked, "ip_sans": addresses} if addresses else asked}


def pki_role(host: CertifiedHost) -> dict[str, Any]:
    """What the PKI signs for a host: an EC key, its own names, at most 30 days.

    What the host's request says of names beside its subject counts for nothing: they are parameters, which
    its policy limits.
    """
    return {
        "allowed_domains": list(host.names),
        "allow_bare_domains": True,
        "allow_subdomains": False,
        "allow_glob_domains": False,
        "allow_wildcard_certificates": False,
        "allow_localhost": False,
        "allow_ip_sans": host.has_addresses,
        "use_csr_sans": False,
        "allowed_uri_sans": [],
        "key_type": "ec",
        "key_bits": 256,
        "key_usage": ["DigitalSignature"],
        "ext_key_usage": [],
        "server_flag": True,
        "client_flag": True,
        "ttl": CERTIFICATE_TTL,
        "max_ttl": CERTIFICATE_TTL,
        "no_store": False,
        "generate_lease": False,
    }
