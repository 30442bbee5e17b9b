"""How the deploying machine logs in: as itself for minutes, through a wrapped SecretID for longer tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hvac.exceptions import InvalidRequest

from socle import credentials, durable
from socle.catalogue.accounts import AUDITOR, secret_path
from socle.errors import Cause, ExitCode, SocleError
from socle.vault import auditor, canary, ssh, tenant_keys
from socle.vault.api import client, plainly
from socle.vault.mounts import KV, TRANSIT
from socle.vault.place import DEPLOYER, Place
from socle.vault.policies import AUDIT_SIGNER, CLOUD_AUDITOR
from socle.vault.seal import active_node
from socle.vault.trust import trust_file

WRAP_TTL = "60s"
UNKNOWN = "invalid role or secret ID"
"""What OpenBao says to a login that it does not know."""


def deployer(place: Place) -> Any:
    """A client that is logged in as the deploying machine.

    Raises:
        SocleError: OpenBao is sealed, does not answer, was never configured from here, or does not know this
            machine's login (exit code 4).
    """
    login = durable.read_json(place.folder / DEPLOYER)
    if not login:
        raise SocleError(
            "this machine has no login to OpenBao",
            where=str(place.folder / DEPLOYER),
            write="run `socle deploy`",
            exit_code=ExitCode.PREREQUISITE,
            cause=Cause.NO_LOGIN,
        )
    speaker = client(place, active_node(place))
    with plainly(place):
        try:
            speaker.auth.approle.login(login["role_id"], login["secret_id"])
        except InvalidRequest as error:
            if UNKNOWN not in str(error):
                raise
            raise SocleError(
                "OpenBao does not know this machine's login",
                where=str(place.folder / DEPLOYER),
                write="run `socle vault configure` with the custodians",
                exit_code=ExitCode.PREREQUISITE,
            ) from error
    return speaker


def ssh_certificate(place: Place) -> bool:
    """See that the deploying account comes in by a certificate that outlives a deployment; true when new.

    Raises:
        SocleError: OpenBao is sealed, does not answer, or was never configured from here.
    """
    return ssh.deployer_certificate(place, deployer(place))


def token_of(place: Place, role: str) -> str:
    """A token of another AppRole. Its SecretID travels wrapped and is used up by the login.

    A wrapping that somebody else opened first is an error, so a stolen SecretID is noticed.
    """
    speaker = deployer(place)
    with plainly(place):
        # Before the wrapping, which dies within a minute: a node that answers nothing costs half of it.
        guest = client(place, active_node(place))
        path = f"auth/approle/role/{role}"
        role_id = speaker.read(f"{path}/role-id")["data"]["role_id"]
        wrapped = speaker.write_data(f"{path}/secret-id", data={}, wrap_ttl=WRAP_TTL)["wrap_info"]["token"]
        guest.token = wrapped
        secret_id = guest.sys.unwrap()["data"]["secret_id"]
        return str(guest.auth.approle.login(role_id, secret_id)["auth"]["client_token"])


def ansible_environment(place: Place) -> dict[str, str]:
    """Environment of ``ansible-playbook``: a token of two hours that reads the components' secrets."""
    return {
        "BAO_ADDR": active_node(place).url,
        "BAO_TOKEN": token_of(place, "ansible"),
        "BAO_CACERT": str(trust_file(place)),
        "SOCLE_CA_FILE": str(place.ca_file),
    }


def stacks_environment(place: Place) -> dict[str, str]:
    """Environment of Pulumi (``hashivault://``): a token of two hours for the stacks' keys."""
    address, token = active_node(place).url, token_of(place, "stacks")
    trust = str(trust_file(place))
    names = {"VAULT_ADDR": address, "VAULT_TOKEN": token, "VAULT_CACERT": trust}
    return {**names, "VAULT_SERVER_URL": address, "VAULT_SERVER_TOKEN": token}


def stacks_client(place: Place) -> Any:
    """A client that may do what stacks may: their keys, the tenants' secrets, the deployer's login."""
    return client(place, active_node(place), token_of(place, "stacks"))


def auditor_client(place: Place) -> Any:
    """A client that reads how OpenBao is configured; it reads no secret and changes nothing."""
    return client(place, active_node(place), token_of(place, auditor.NAME))


def audit_key(place: Place, folder: Path) -> Path:
    """A new SSH key in a folder by which an audit reads hosts for some minutes, its certificate beside it.

    Raises:
        SocleError: OpenBao is sealed, does not answer, refuses, or was never configured from here.
    """
    return ssh.audit_key(place, auditor_client(place), folder)


def eraser_client(place: Place) -> Any:
    """A client that may delete the tenants' keys, and use none."""
    return client(place, active_node(place), token_of(place, tenant_keys.ERASER))


def audit_signer(place: Place) -> Any:
    """A client that may sign audits, and nothing else."""
    return client(place, active_node(place), token_of(place, AUDIT_SIGNER))


def canary_client(place: Place) -> Any:
    """A client that may make and remove the account of probes, and end its own session."""
    return client(place, active_node(place), token_of(place, canary.NAME))


def stack_key(place: Place, stack: str, speaker: Any = None) -> str:
    """Make sure that a stack has its transit key; the value of Pulumi's ``secrets_provider``."""
    name = f"stack-{stack}"
    with plainly(place):
        speaker = speaker or stacks_client(place)
        if speaker.read(f"{TRANSIT}/keys/{name}") is None:
            speaker.write_data(f"{TRANSIT}/keys/{name}", data={"type": "aes256-gcm96"})
    return f"hashivault://{name}"


def secret(place: Place, path: str, speaker: Any = None) -> str:
    """One secret, ``deployer/identity`` for instance, for a process of ours that must log in with it."""
    return str(_values(place, path, speaker)[path.partition("/")[2]])


def account(place: Place, path: str, speaker: Any = None) -> credentials.Account:
    """The account in use of a login that is rotated, with its password.

    Args:
        path: of the password, ``deployer/identity`` for instance.
    """
    component, _slash, name = path.partition("/")
    return credentials.account(_values(place, path, speaker), component, name)


def auditor_account(place: Place) -> credentials.Account:
    """The cloud's auditor, read by an AppRole that reads nothing else."""
    speaker = client(place, active_node(place), token_of(place, CLOUD_AUDITOR))
    return account(place, secret_path(AUDITOR), speaker)


def _values(place: Place, path: str, speaker: Any = None) -> dict[str, Any]:
    component, _slash, name = path.partition("/")
    with plainly(place):
        speaker = speaker or stacks_client(place)
        answer = speaker.read(f"{KV}/data/services/{component}")
    values: dict[str, Any] = answer["data"]["data"] if answer else {}
    if name not in values:
        raise SocleError(
            "is not in OpenBao",
            where=f"{KV}/services/{path}",
            write="run `socle deploy`",
            cause=Cause.NO_SECRET,
        )
    return values
