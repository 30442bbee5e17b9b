"""SSH certificates: one authority signs people and the deploying account for hours, another one signs hosts.

People come in by their own name only: a role of the authority takes the principal from the person's entity in
OpenBao, so that nobody can ask for another name. A certificate carries no forwarding.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.site.entrance import (
    AUDIT_ACCOUNT,
    AUDIT_COMMAND,
    AUTHORITY_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
    KNOWN_HOSTS,
)
from socle.vault import issuers
from socle.vault.api import plainly
from socle.vault.place import Place

USER_MOUNT, HOST_MOUNT = "ssh_user", "ssh_host"
MOUNTS: dict[str, dict[str, Any]] = {
    USER_MOUNT: {"backend_type": "ssh", "config": {"max_lease_ttl": "12h"}},
    HOST_MOUNT: {"backend_type": "ssh", "config": {"max_lease_ttl": "720h"}},
}
DEPLOYER = "deployer"
AUDIT = "audit"
"""Signs for the account by which an audit reads hosts."""
AUDIT_TTL = "10m"
HOURS: dict[str, str] = {"operator": "4h", "network-operator": "4h", "crypto-officer": "2h", "auditor": "8h"}
"""For how long a certificate opens sessions, by the role of people.yml that it is asked for."""

FORMER = "former"
"""Signs with the key that is being retired, and with no other: what it signs must be refused."""
FORMER_TTL = "10m"
DEPLOY_TTL = "4h"
HOST_TTL = "720h"
RENEW_BELOW = 7260
"""Seconds that a certificate of the deploying account must still live before a deployment begins."""

PERSON = "{{identity.entity.name}}"


def user_role(principal: str, ttl: str) -> dict[str, Any]:
    """What the authority of people signs: Ed25519 keys, one name, a terminal and nothing else."""
    return {
        "key_type": "ca",
        "allow_user_certificates": True,
        "allow_host_certificates": False,
        "allowed_users": principal,
        "allowed_users_template": principal == PERSON,
        "default_user": principal,
        "default_user_template": principal == PERSON,
        "allowed_extensions": "permit-pty",
        "default_extensions": {"permit-pty": ""},
        "allowed_critical_options": "",
        "allowed_user_key_lengths": {"ed25519": 0},
        "allow_user_key_ids": False,
        "key_id_format": "{{token_display_name}}-{{public_key_hash}}",
        "ttl": ttl,
        "max_ttl": ttl,
        "not_before_duration": "30s",
    }


def audit_role(place: Place) -> dict[str, Any]:
    """What the authority signs for an audit: one account, from the deploying machines, for one program.

    The host holds the account to the same program itself.
    """
    return user_role(AUDIT_ACCOUNT, AUDIT_TTL) | {
        "allowed_extensions": "",
        "default_extensions": {},
        "default_critical_options": {
            "force-command": AUDIT_COMMAND,
            "source-address": ",".join(place.deployers),
        },
    }


def host_role(names: tuple[str, ...]) -> dict[str, Any]:
    """What the authority of hosts signs for one of them: its own names and addresses, for 30 days."""
    return {
        "key_type": "ca",
        "allow_user_certificates": False,
        "allow_host_certificates": True,
        "allowed_domains": ",".join(names),
        "allow_bare_domains": True,
        "allow_subdomains": False,
        "allowed_user_key_lengths": {"ed25519": 0},
        "ttl": HOST_TTL,
        "max_ttl": HOST_TTL,
        "not_before_duration": "30s",
    }


def rules_of_person(role: str) -> dict[str, dict[str, Any]]:
    """What the policy of a role of people.yml must allow so that those who have it get certificates."""
    return {f"{USER_MOUNT}/sign/{role}": {"capabilities": ["create", "update"]}} if role in HOURS else {}


def rules_of_deployer() -> dict[str, dict[str, Any]]:
    """What the deploying machine must be allowed so that it comes in by certificate."""
    return {f"{USER_MOUNT}/sign/{DEPLOYER}": {"capabilities": ["create", "update"]}}


def rules_of_audit() -> dict[str, dict[str, Any]]:
    """What an audit must be allowed to come in to hosts: these parameters, so that no option is left out."""
    asked = {"public_key": [], "valid_principals": [AUDIT_ACCOUNT], "cert_type": ["user"]}
    return {f"{USER_MOUNT}/sign/{AUDIT}": {"capabilities": ["create", "update"], "allowed_parameters": asked}}


def rules_of_rotation() -> dict[str, dict[str, Any]]:
    """What replacing the authorities takes, and trying the former ones."""
    rules: dict[str, dict[str, Any]] = {}
    for mount in (USER_MOUNT, HOST_MOUNT):
        rules |= issuers.rules(mount)
        rules[f"{mount}/sign/{FORMER}"] = {"capabilities": ["create", "update"]}
    return rules


def former_roles(place: Place) -> dict[str, dict[str, Any]]:
    """By mount, the role that signs for some minutes what nobody must accept any more."""
    names = tuple(name for host in place.hosts for name in (host.name, host.address))
    lasting = {"issuer_ref": issuers.RETIRED, "ttl": FORMER_TTL, "max_ttl": FORMER_TTL}
    return {
        USER_MOUNT: user_role(place.deploy_user, FORMER_TTL) | lasting,
        HOST_MOUNT: host_role(names) | lasting,
    }


def rules_of_host(role: str) -> dict[str, dict[str, Any]]:
    """What a host must be allowed so that it has its own host key signed."""
    return {f"{HOST_MOUNT}/sign/{role}": {"capabilities": ["create", "update"]}}


def configure(speaker: Any, place: Place) -> None:
    """Make the authorities that are missing, write the roles, keep the public keys in the state folder."""
    there = speaker.sys.list_mounted_secrets_engines()["data"]
    for path, wanted in MOUNTS.items():
        if f"{path}/" not in there:
            speaker.sys.enable_secrets_engine(path=path, **wanted)
    for role, principal, ttl in _user_roles(place):
        speaker.write_data(f"{USER_MOUNT}/roles/{role}", data=user_role(principal, ttl))
    speaker.write_data(f"{USER_MOUNT}/roles/{AUDIT}", data=audit_role(place))
    for host in place.hosts:
        speaker.write_data(f"{HOST_MOUNT}/roles/{host.role}", data=host_role((host.name, host.address)))
    for mount, role_of_former in former_roles(place).items():
        speaker.write_data(f"{mount}/roles/{FORMER}", data=role_of_former)
        if not issuers.issuers(speaker, mount):
            speaker.write_data(f"{mount}/config/ca", data=issuers.NEW_KEY)
    keep_authorities(speaker, place)


def keep_authorities(speaker: Any, place: Place) -> None:
    """Write the public keys of the authorities to the state folder: those that OpenBao says are trusted now.

    While an authority is rotated it has two; the first one signs.
    """
    users, hosts = (issuers.trusted(speaker, mount) for mount in (USER_MOUNT, HOST_MOUNT))
    durable.write(place.state / AUTHORITY_FILE, "".join(f"{key}\n" for key in users))
    durable.write(place.state / KNOWN_HOSTS, known_hosts(place, hosts))


def known_hosts(place: Place, authorities: tuple[str, ...]) -> str:
    """What a client knows of the site's hosts: the authorities that may certify them."""
    patterns = ",".join(pattern for host in place.hosts for pattern in (host.name, host.address))
    return "".join(f"@cert-authority {patterns} {key}\n" for key in authorities) if patterns else ""


def wanted(place: Place) -> list[Any]:
    """Everything that ``configure`` writes, for the hash by which it is known to be there."""
    roles = [user_role(principal, ttl) for _role, principal, ttl in _user_roles(place)]
    return [
        MOUNTS,
        roles,
        former_roles(place),
        audit_role(place),
        {host.role: host_role((host.name, host.address)) for host in place.hosts},
    ]


def _user_roles(place: Place) -> list[tuple[str, str, str]]:
    people = [(role, PERSON, ttl) for role, ttl in HOURS.items()]
    return [*people, (DEPLOYER, place.deploy_user, DEPLOY_TTL)]


def sign(place: Place, speaker: Any, role: str, public_key: str, principal: str) -> str:
    """A certificate for a public key, as OpenSSH writes it.

    Args:
        speaker: a client logged in as who asks.
        role: of people.yml, or ``deployer``.
        principal: the account to come in to; OpenBao refuses any but the one of who asks.

    Raises:
        SocleError: OpenBao refuses.
    """
    asked = {"public_key": public_key, "valid_principals": principal, "cert_type": "user"}
    with plainly(place):
        answer = speaker.write_data(f"{USER_MOUNT}/sign/{role}", data=asked)
    return str(answer["data"]["signed_key"]).strip() + "\n"


def sign_host(place: Place, speaker: Any, public_key: str, principal: str) -> str:
    """A host's certificate of the authority that is being retired, for a client that must refuse it.

    Raises:
        SocleError: OpenBao refuses.
    """
    asked = {"public_key": public_key, "valid_principals": principal, "cert_type": "host"}
    with plainly(place):
        answer = speaker.write_data(f"{HOST_MOUNT}/sign/{FORMER}", data=asked)
    return str(answer["data"]["signed_key"]).strip() + "\n"


def new_key(folder: Path, comment: str) -> Path:
    """A key pair in a folder that only its owner reads; with a private file there is the other one."""
    path = folder / KEY_FILE
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        made = Path(draft) / KEY_FILE
        _keygen(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(made)])
        for name in (f"{KEY_FILE}.pub", KEY_FILE):
            durable.write_bytes(folder / name, (made.parent / name).read_bytes())
    return path


def keep_certificate(key: Path, certificate: str) -> Path:
    """Put a certificate where ssh finds it beside its key."""
    path = key.with_name(f"{key.name}-cert.pub")
    durable.write(path, certificate)
    return path


def seconds_left(certificate: Path) -> float:
    """For how long a certificate opens sessions; 0 when there is none."""
    if not certificate.is_file():
        return 0.0
    for line in _keygen(["ssh-keygen", "-L", "-f", str(certificate)]).splitlines():
        said, _to, end = line.strip().partition(" to ")
        if said.startswith("Valid: from "):
            return max(0.0, time.mktime(time.strptime(end, "%Y-%m-%dT%H:%M:%S")) - time.time())
    return 0.0


def needs_certificate(place: Place) -> bool:
    """Whether the deploying account's certificate is missing, or would not outlive a deployment.

    One that another authority signed opens nothing, however long it lives.
    """
    certificate, authority = place.state / CERTIFICATE_FILE, place.state / AUTHORITY_FILE
    return seconds_left(certificate) <= RENEW_BELOW or not _signed_by(certificate, authority)


def _signed_by(certificate: Path, authority: Path) -> bool:
    """Whether the fingerprint of the key that signs, the first one, is the one that the certificate names."""
    if not authority.is_file():
        return True
    fingerprint = _keygen(["ssh-keygen", "-l", "-f", str(authority)]).split()[1]
    return f" {fingerprint} " in _keygen(["ssh-keygen", "-L", "-f", str(certificate)])


def deployer_certificate(place: Place, speaker: Any) -> bool:
    """See that the deploying account has a certificate that outlives a deployment; true when it is new.

    Args:
        speaker: a client logged in as the deploying machine.
    """
    key = place.state / KEY_FILE
    if not key.is_file():
        new_key(place.state, f"{place.deploy_user} of {place.site}")
    if not needs_certificate(place):
        return False
    public = _keygen(["ssh-keygen", "-y", "-f", str(key)])
    keep_certificate(key, sign(place, speaker, DEPLOYER, public, place.deploy_user))
    return True


def audit_key(place: Place, speaker: Any, folder: Path) -> Path:
    """A new key in a folder, with a certificate of minutes for the account by which an audit reads hosts.

    Args:
        speaker: a client logged in as the auditor.
    """
    key = new_key(folder, f"audit of {place.site}")
    public = key.with_name(f"{key.name}.pub").read_text(encoding="ascii")
    keep_certificate(key, sign(place, speaker, AUDIT, public, AUDIT_ACCOUNT))
    return key


def _keygen(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise SocleError(
            "ssh-keygen is not installed", write="install openssh-client", exit_code=ExitCode.PREREQUISITE
        ) from error
    if done.returncode != 0:
        raise SocleError(done.stderr.strip() or "ssh-keygen failed", where=command[-1])
    return done.stdout
