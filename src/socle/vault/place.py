"""Where a site's OpenBao is and what it must know of the site: nothing here calls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from socle.catalogue import Catalogue, accounts
from socle.catalogue.host_certificates import HostCertificate, certificates_of
from socle.paths import state_dir
from socle.site import Site

DEPLOYER = "deployer.json"
"""The deploying machine's own login, in the folder of a place."""


@dataclass(frozen=True)
class VaultNode:
    """A node of OpenBao."""

    name: str
    address: str
    port: int

    @property
    def url(self) -> str:
        """The API of this node, by its address in the admin zone."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"https://{host}:{self.port}"


@dataclass(frozen=True)
class CertifiedHost:
    """A host that asks OpenBao for certificates, and which."""

    name: str
    address: str
    certificates: tuple[HostCertificate, ...]
    seals_logs: bool = False
    """Whether it keeps the central logs, and signs the seals over them."""

    @property
    def role(self) -> str:
        """Name of its AppRole, its policy and its role in the PKI."""
        return f"host-{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """All DNS names that it may be certified for."""
        return tuple(sorted({name for c in self.certificates for name in c.names}))

    @property
    def has_addresses(self) -> bool:
        """Whether one of its certificates names IP addresses."""
        return any(c.addresses for c in self.certificates)


@dataclass(frozen=True)
class ServiceLogin:
    """A component that logs in to OpenBao itself, on one of its hosts."""

    component: str
    host: str
    address: str

    @property
    def role(self) -> str:
        """Name of its AppRole and its policy."""
        return f"service-{self.component}-{self.host}"


@dataclass(frozen=True)
class Custodian:
    """A person who holds one share of the seal."""

    login: str
    name: str
    email: str
    pgp_key: str | None = None
    """Armoured; none for a test custodian, whose key is made on this machine."""


@dataclass(frozen=True)
class Place:
    """One site's OpenBao as the deploying machine sees it."""

    site: str
    title: str
    nodes: tuple[VaultNode, ...]
    deploy_user: str
    deployers: tuple[str, ...]
    shares: int
    threshold: int
    seal: Literal["shamir", "pkcs11"]
    custody: Literal["custodians", "test-custodians"]
    hosts: tuple[CertifiedHost, ...]
    secrets: dict[str, dict[str, str]]
    """Component, or account of the provider, to its secrets' kinds, by name."""
    services: tuple[ServiceLogin, ...] = ()
    custodians: tuple[Custodian, ...] = ()
    people: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Login of each administrator to the roles of people.yml."""

    @property
    def recovers(self) -> bool:
        """With an HSM the shares do not open OpenBao; they are the quorum for everything else."""
        return self.seal == "pkcs11"

    @property
    def rekeyed(self) -> str:
        """What OpenBao calls the key that the shares make up, where they are made anew."""
        return "recovery" if self.recovers else "root"

    @property
    def state(self) -> Path:
        """The site's state folder."""
        return state_dir(self.site)

    @property
    def folder(self) -> Path:
        """Encrypted shares, logins and markers, mode 0700."""
        path = self.state / "vault"
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    @property
    def ca_file(self) -> Path:
        """The site's root certificate, there once the PKI is."""
        return self.state / "ca.pem"


def secrets_of(catalogue: Catalogue) -> dict[str, dict[str, str]]:
    """Component, or account of the provider, to the kinds of its secrets, by name."""
    return {
        **{name: dict(c.secrets) for name, c in catalogue.components.items() if c.secrets},
        **{name: {accounts.SECRET: "password"} for name in accounts.ROLES},
    }


def place_of(site: Site, catalogue: Catalogue) -> Place:
    """What OpenBao and the code around it must know of a site."""
    settings = site.settings
    port = catalogue["openbao"].listeners["api"].port
    certified = []
    for host in site.hosts.values():
        components = catalogue.of_groups(host.groups)
        wanted = certificates_of(
            {name: c.model_dump() for name, c in components.items()},
            name=host.name,
            domain=settings.domain,
            address=host.address,
            endpoints=settings.endpoints.model_dump(mode="json"),
            vault_name=settings.openbao.name,
        )
        if wanted:
            certified.append(CertifiedHost(host.name, host.address, wanted, "logs_store" in components))
    return Place(
        site=site.name,
        title=settings.title,
        nodes=tuple(VaultNode(h.name, h.address, port) for h in site.hosts.values() if "vault" in h.groups),
        deploy_user=settings.deploy_user,
        deployers=tuple(str(address) for address in settings.deployers),
        shares=settings.openbao.shares,
        threshold=settings.openbao.threshold,
        seal=settings.openbao.seal,
        custody=settings.openbao.custody,
        hosts=tuple(certified),
        secrets=secrets_of(catalogue),
        services=tuple(
            ServiceLogin(name, host.name, host.address)
            for host in site.hosts.values()
            for name, component in catalogue.of_groups(host.groups).items()
            if component.vault_login
        ),
        custodians=tuple(
            Custodian(
                login,
                site.people.people[login].name,
                site.people.people[login].email,
                site.people.people[login].pgp_key,
            )
            for login in site.people.custodians
        ),
        people={login: tuple(person.roles) for login, person in site.people.people.items()},
    )
