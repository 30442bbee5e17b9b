"""What OpenBao is to be: mounts, authorities, policies, AppRoles. Applied with a root token that dies."""

from __future__ import annotations

import hashlib
import inspect
import json
from typing import Any

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.vault import duties, people, pki, ssh, tenant_keys
from socle.vault.api import plainly
from socle.vault.ceremony import forget_root_token
from socle.vault.custody import Shares, shares_of
from socle.vault.duties import PERSON
from socle.vault.login import deployer
from socle.vault.mounts import KV, PKI_ROOT, PKI_SERVICES, TRANSIT
from socle.vault.place import DEPLOYER, Place
from socle.vault.policies import approles, pki_role, policies, text
from socle.vault.quorum import root
from socle.vault.seal import cluster_id

MARKER = "configured.json"
OF_HOSTS = ("host-", "service-")
"""How the names of policies and AppRoles begin that go when their host does."""
KEPT = ("root", PERSON)
"""Policies that are not of the list but belong: OpenBao's own, and the one that people's module writes."""
UNSAID: dict[str, Any] = {
    "bind_secret_id": True,
    "token_explicit_max_ttl": 0,
    "token_num_uses": 0,
    "token_period": 0,
    "token_type": "default",
}
"""Settings of an AppRole that no role of ours names: what was written there by hand goes."""
MOUNTS: dict[str, dict[str, Any]] = {
    KV: {"backend_type": "kv", "options": {"version": "2"}},
    TRANSIT: {"backend_type": "transit"},
    tenant_keys.MOUNT: {"backend_type": "transit"},
    PKI_ROOT: {"backend_type": "pki", "config": {"max_lease_ttl": pki.ROOT_TTL}},
    PKI_SERVICES: {"backend_type": "pki", "config": {"max_lease_ttl": pki.SERVICES_TTL}},
}


def configure(place: Place, shares: Shares | None = None, *, again: bool = False) -> bool:
    """Bring OpenBao to what the site wants; false when it is already there and knows this machine's login.

    The marker holds a hash of everything wanted and the identity of the cluster that has it. What somebody
    wrote into OpenBao by hand since then it does not know.

    Args:
        shares: the custodians who allow it; those whose parts this machine plays when nobody is named.
        again: whatever the marker says; removes every policy and AppRole that nobody declared, too.

    Raises:
        SocleError: sealed, unreachable, or custodians are needed and not there (exit code 6).
    """
    if not again and is_configured(place) and is_known(place):
        return False
    command = "configure --again" if again else "configure"
    allowing, purpose = shares or shares_of(place), "OpenBao must be configured"
    with root(place, allowing, purpose, command) as speaker, plainly(place):
        apply(speaker, place, again=again)
    forget_root_token(place)
    durable.write_json(place.folder / MARKER, _wanted(place))
    return True


def is_configured(place: Place) -> bool:
    """Whether OpenBao is what the site wants, as far as this machine remembers."""
    complete = place.ca_file.exists() and (place.folder / DEPLOYER).exists()
    return complete and durable.read_json(place.folder / MARKER) == _wanted(place)


def is_known(place: Place) -> bool:
    """Whether OpenBao accepts this machine's login."""
    try:
        deployer(place)
    except SocleError as error:
        if error.exit_code != ExitCode.PREREQUISITE:
            raise
        return False
    return True


def _wanted(place: Place) -> dict[str, str]:
    return {"cluster": cluster_id(place), "content": digest(place)}


def digest(place: Place) -> str:
    """A hash of everything that ``apply`` would write, and of how it writes the authorities."""
    wanted = [
        MOUNTS,
        policies(place),
        approles(place),
        {host.role: pki_role(host) for host in place.hosts},
        place.people,
        inspect.getsource(pki),
        ssh.wanted(place),
        inspect.getsource(people),
        inspect.getsource(duties),
    ]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def apply(speaker: Any, place: Place, *, again: bool = False) -> None:
    """Write everything that is wanted, remove policies and AppRoles of hosts that are gone. Idempotent.

    Args:
        again: what was written by hand goes as well: policies and AppRoles that nobody declared, settings of
            accounts and rights of identities.
    """
    _mounts(speaker)
    pki.configure(speaker, place)
    ssh.configure(speaker, place)
    _policies(speaker, place, OF_HOSTS if not again else "")
    _approles(speaker, place, OF_HOSTS if not again else "")
    people.configure(speaker, place)
    if again:
        _people(speaker)
    _deployer_login(speaker, place)


def _mounts(speaker: Any) -> None:
    there = speaker.sys.list_mounted_secrets_engines()["data"]
    for path, wanted in MOUNTS.items():
        if f"{path}/" not in there:
            speaker.sys.enable_secrets_engine(path=path, **wanted)
    if "approle/" not in speaker.sys.list_auth_methods()["data"]:
        speaker.sys.enable_auth_method("approle")


def _policies(speaker: Any, place: Place, ours: str | tuple[str, ...]) -> None:
    wanted = {**policies(place), **duties.duties(place)}
    for name, rules in wanted.items():
        speaker.sys.create_or_update_acl_policy(name, text(rules), pretty_print=False)
    for name in speaker.sys.list_acl_policies()["data"]["keys"]:
        if name.startswith(ours) and name not in wanted and name not in KEPT:
            speaker.sys.delete_acl_policy(name)


def _approles(speaker: Any, place: Place, ours: str | tuple[str, ...]) -> None:
    wanted = approles(place)
    for name, role in wanted.items():
        speaker.write_data(f"auth/approle/role/{name}", data=UNSAID | role)
    for mount in ("auth/approle/role", f"{PKI_SERVICES}/roles"):
        for name in _names(speaker, mount):
            if name.startswith(ours) and name not in wanted:
                speaker.delete(f"{mount}/{name}")


def _people(speaker: Any) -> None:
    """Sessions of accounts as ``enrol`` writes them, locked after failures; identities give no rights."""
    lockout = {**people.LOCKOUT, "lockout_disable": False}
    speaker.write_data(f"sys/auth/{people.MOUNT}/tune", data={"user_lockout_config": lockout})
    for login in _names(speaker, f"auth/{people.MOUNT}/users"):
        speaker.write_data(f"auth/{people.MOUNT}/users/{login}", data=people.SESSION)
    for name in _names(speaker, "identity/entity/name"):
        speaker.write_data(f"identity/entity/name/{name}", data={"policies": []})
    for name in _names(speaker, "identity/group/name"):
        speaker.delete(f"identity/group/name/{name}")


def _names(speaker: Any, path: str) -> list[str]:
    listed = speaker.list(path)
    return list(listed["data"]["keys"]) if listed else []


def _deployer_login(speaker: Any, place: Place) -> None:
    """A new login for the deploying machine; the former ones die."""
    role = "auth/approle/role/deployer"
    role_id = speaker.read(f"{role}/role-id")["data"]["role_id"]
    former = speaker.list(f"{role}/secret-id")
    secret = speaker.write_data(f"{role}/secret-id", data={})["data"]
    durable.write_json(place.folder / DEPLOYER, {"role_id": role_id, "secret_id": secret["secret_id"]})
    for accessor in former["data"]["keys"] if former else []:
        speaker.write_data(f"{role}/secret-id-accessor/destroy", data={"secret_id_accessor": accessor})
