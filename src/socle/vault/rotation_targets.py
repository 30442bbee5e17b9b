"""What can be rotated, under which names, and by which technique."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from socle.catalogue import Catalogue, accounts
from socle.credentials import STATES, State
from socle.errors import ExitCode, SocleError
from socle.vault import ssh
from socle.vault.place import Place

Technique = Literal["account", "value", "fernet", "credential"]
DATABASE, QUEUE, IDENTITY = "database", "queue", "identity"
SERVERS = {DATABASE: "mariadb", QUEUE: "rabbitmq", IDENTITY: "keystone"}
"""The role that keeps the accounts of each kind."""

ALSO_READ_BY = {
    "nova/queue": ("nova_compute",),
    "nova/identity": ("nova_compute",),
    "nova/metadata": ("ovn_chassis",),
}
"""Components, beside the one that a secret is named after, whose configuration holds it."""

VALUES = ("nova/metadata", "horizon/session")
"""Secrets of one value, which is replaced where it stands."""

STAYS = {
    "fsid": "it names the Ceph cluster",
    "ceph_uuid": "it names a secret of libvirt",
    "cookie": "RabbitMQ would stop on all controllers at once; its nodes have certificates",
    "replication": "MariaDB reads it at its start, and only its own node may use it",
    "health": "nothing uses it",
    "vrrp": "the controllers would have to change at once, or two hold the shared addresses",
}
"""Secrets that are not rotated, by the end of their names, and why."""
CEPH_STAYS = "the role of Ceph does not change the key of an account that exists"

CERTIFICATES, LOGINS, SSH = "certificates", "logins", "ssh"


@dataclass(frozen=True)
class Secret:
    """One secret in OpenBao.

    Args:
        path: ``<component>/<name>``.
        server: the role that keeps the account or the keys; none for a value that its readers only share.
        readers: roles whose configuration holds it.
    """

    path: str
    technique: Technique
    server: str | None
    readers: tuple[str, ...]

    @property
    def component(self) -> str:
        """Whose it is."""
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        """What it is for."""
        return self.path.partition("/")[2]

    @property
    def states(self) -> tuple[State, ...]:
        """What it goes through, in order."""
        match self.technique:
            case "account":
                return ("staged", "switched", "retired")
            case "credential":
                return ("switched", "retired")
            case _:
                return ("switched",)


@dataclass(frozen=True)
class Login:
    """A machine's login to OpenBao: the SecretID of an AppRole. Without a host, this machine's own."""

    role: str
    host: str | None
    component: str = "certificates"

    @property
    def path(self) -> str:
        """How it is called on the command line."""
        return f"{LOGINS}/{self.role}"


@dataclass(frozen=True)
class Certificates:
    """All certificates of a host."""

    host: str

    @property
    def path(self) -> str:
        """How it is called on the command line."""
        return f"{CERTIFICATES}/{self.host}"


@dataclass(frozen=True)
class Authority:
    """One of the two authorities of SSH: it signs people and the deploying account, or hosts."""

    signs: Literal["users", "hosts"]

    @property
    def path(self) -> str:
        """How it is called on the command line."""
        return f"{SSH}/{self.signs}"

    @property
    def server(self) -> str | None:
        """The role that lays it on hosts. What hosts are known by is on this machine."""
        return "hardening" if self.signs == "users" else None

    @property
    def readers(self) -> tuple[str, ...]:
        """Roles that use it: none, certificates are signed anew."""
        return ()

    @property
    def states(self) -> tuple[State, ...]:
        """What it goes through, in order."""
        return STATES

    @property
    def mount(self) -> str:
        """Where it stands in OpenBao."""
        return ssh.USER_MOUNT if self.signs == "users" else ssh.HOST_MOUNT


type Target = Secret | Authority | Login | Certificates


def targets(place: Place, catalogue: Catalogue) -> dict[str, Target]:
    """Everything that can be rotated, by name, in the order in which ``--all`` does it.

    A further kind of credential is a further list here, and a step in ``socle.deploy.rotation``.
    """
    found: list[Target] = [*_secrets(catalogue), Authority("users"), Authority("hosts")]
    found += [Login(service.role, service.host, service.component) for service in place.services]
    found += [Login(host.role, host.name) for host in place.hosts]
    found += [Login("deployer", None)]
    found += [Certificates(host.name) for host in place.hosts]
    return {target.path: target for target in found}


def _secrets(catalogue: Catalogue) -> list[Secret]:
    found = [
        Secret(f"{name}/{kind}", "account", server, _readers(f"{name}/{kind}"))
        for kind, server in SERVERS.items()
        for name, component in catalogue.components.items()
        if kind in component.secrets
    ]
    found += [Secret(accounts.secret_path(name), "account", SERVERS[IDENTITY], ()) for name in accounts.ROLES]
    found += [Secret(path, "value", None, _readers(path)) for path in VALUES]
    return [
        *found,
        Secret("keystone/fernet", "fernet", "keystone", ("keystone",)),
        Secret("keystone/credential", "credential", "keystone", ("keystone",)),
    ]


def _readers(path: str) -> tuple[str, ...]:
    return (path.partition("/")[0], *ALSO_READ_BY.get(path, ()))


def chosen(name: str | None, known: dict[str, Target]) -> list[Target]:
    """The targets that a name stands for: one, all of a kind (``certificates``), or all when it is None.

    Raises:
        SocleError: there is none of that name; says which there are, or why this one stays (exit code 2).
    """
    if name is None:
        return list(known.values())
    found = [target for path, target in known.items() if path == name or path.startswith(f"{name}/")]
    if found:
        return found
    why = _why_not(name)
    what = f"{name} is not rotated: {why}" if why else f"nothing is called {name}"
    raise SocleError(what, expected=f"one of {', '.join(known)}", exit_code=ExitCode.USAGE)


def _why_not(name: str) -> str | None:
    component, _slash, last = name.partition("/")
    return STAYS.get(last) or (CEPH_STAYS if component == "ceph" else None)
