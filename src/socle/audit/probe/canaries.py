"""Canary tenants: domains that belong to nobody, made for a probe and removed with all that is in them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, Final

from socle import catalogue, tenants, vault
from socle.audit.probe.journal import Journal, Made
from socle.errors import SocleError
from socle.site import Site
from socle.tenants import Session
from socle.vault import tenant_keys

PREFIX: Final = "canary-"
"""How the names of canary tenants begin; a tenant's own is ``t-`` and a SIREN."""
DESCRIPTION: Final = "Canary of the compliance suite; nobody's, removed when its probe ends"
PROJECT: Final = "canary"
MEMBER: Final = "member"
SECONDS: Final = 180
REVOKED_SECONDS: Final = 2
"""Keystone counts whole seconds: a new password revokes a token that is made in the same one, too."""
SETTLED: Final = frozenset({"available", "in-use", "error", "error_deleting", "error_restoring"})


def password() -> str:
    """A password that nobody but this process ever knows."""
    return f"{secrets.token_urlsafe(24)}aA1-"


@dataclass(frozen=True)
class Tenant:
    """A canary tenant: one domain, one project, one member."""

    name: str
    domain: str
    project: str
    session: Session = field(repr=False)
    secret: str = field(repr=False)

    def connect(self) -> Any:
        """The cloud as its member sees it."""
        return _connect(self.session, self.domain, self.secret)


def _connect(session: Session, domain: str, secret: str) -> Any:
    import openstack  # noqa: PLC0415 - takes a second to load

    return openstack.connect(
        auth_url=session.auth_url,
        username=MEMBER,
        password=secret,
        project_name=PROJECT,
        user_domain_id=domain,
        project_domain_id=domain,
        region_name=session.region,
        interface="public",
        cacert=session.ca_file,
        api_timeout=60,
    )


@dataclass
class Canaries:
    """The canary tenants of one run, made when a probe first asks for them."""

    site: Site
    journal: Journal
    _tenants: list[Tenant] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @cached_property
    def session(self) -> Session:
        """The deployer's login, by which canaries are made."""
        return tenants.session_of(self.site)

    @cached_property
    def place(self) -> vault.Place:
        """The site's OpenBao."""
        return vault.place_of(self.site, catalogue.load())

    def announce(self, made: Made) -> None:
        """Write down what a probe is about to make."""
        with self._lock:
            self.journal.announce(made)

    def pair(self) -> tuple[Tenant, Tenant]:
        """Two tenants, the same for all probes of a run."""
        with self._lock:
            while len(self._tenants) < 2:  # noqa: PLR2004 - a pair
                self._tenants.append(self._make())
            first, second = self._tenants
            return first, second

    def _make(self) -> Tenant:
        name = f"{PREFIX}{secrets.token_hex(6)}"
        self.journal.announce(Made("tenant", name))
        secret = password()
        with self.session.cloud() as cloud:
            domain = cloud.identity.create_domain(name=name, description=DESCRIPTION)
            project = cloud.identity.create_project(name=PROJECT, domain_id=domain.id)
            user = cloud.identity.create_user(name=MEMBER, domain_id=domain.id, password=secret)
            role = cloud.identity.find_role("member", ignore_missing=False)
            cloud.identity.assign_project_role_to_user(project, user, role)
        return Tenant(name, domain.id, project.id, self.session, secret)

    def remove(self, name: str) -> None:
        """Remove a canary tenant, whatever there is of it. Safe to kill and to repeat.

        Raises:
            SocleError: it is no canary, or something of it cannot be removed.
        """
        if not name.startswith(PREFIX):
            raise SocleError(f"{name} is no canary", where=str(self.journal.path))
        with self.session.cloud() as cloud:
            domain = cloud.identity.find_domain(name)
            if domain and domain.is_enabled:
                self._empty(cloud, domain)
        tenant_keys.erase(self.place, vault.eraser_client(self.place), name)
        with self.session.cloud() as cloud:
            if domain:
                cloud.identity.update_domain(domain, is_enabled=False)
                cloud.identity.delete_domain(domain)

    def _empty(self, cloud: Any, domain: Any) -> None:
        """As its own member: nobody else may delete a tenant's keys. The password of a killed run is lost."""
        project = next(iter(cloud.identity.projects(domain_id=domain.id, name=PROJECT)), None)
        user = next(iter(cloud.identity.users(domain_id=domain.id, name=MEMBER)), None)
        if project is None or user is None:
            return
        role = cloud.identity.find_role("member", ignore_missing=False)
        cloud.identity.assign_project_role_to_user(project, user, role)
        secret = password()
        cloud.identity.update_user(user, password=secret)
        time.sleep(REVOKED_SECONDS)
        own = _connect(self.session, domain.id, secret)
        try:
            empty(cloud, own, project.id)
        finally:
            own.close()


def empty(cloud: Any, own: Any, project: str) -> None:
    """Delete all that is in a project: servers first, since they hold the rest.

    Args:
        cloud: the cloud as its deployer sees it.
        own: as the project's member does.
    """
    servers = list(own.compute.servers())
    for server in servers:
        cloud.compute.delete_server(server, force=True)
    for server in servers:
        cloud.compute.wait_for_delete(server, interval=1, wait=SECONDS)
    _volumes(own)
    for image in own.image.images(owner=project):
        own.image.delete_image(image)
    _network(cloud, own, project)
    for secret in own.key_manager.secrets():
        own.key_manager.delete_secret(secret.secret_ref.rsplit("/", 1)[1])


def _volumes(own: Any) -> None:
    """A volume that is being made can only be deleted when it is."""
    import openstack  # noqa: PLC0415 - as above

    volumes = list(own.block_storage.volumes())
    for volume in volumes:
        for _attempt in openstack.utils.iterate_timeout(SECONDS, f"{volume.id} does not settle", wait=1):
            found = own.block_storage.find_volume(volume.id)
            if found is None or found.status in {*SETTLED, "deleting"}:
                break
        if found is not None and found.status != "deleting":
            own.block_storage.delete_volume(found)
    for volume in volumes:
        own.block_storage.wait_for_delete(volume, interval=1, wait=SECONDS)


def _network(cloud: Any, own: Any, project: str) -> None:
    for address in own.network.ips(project_id=project):
        own.network.delete_ip(address)
    for router in own.network.routers(project_id=project):
        for port in own.network.ports(device_id=router.id):
            for one in port.fixed_ips:
                own.network.remove_interface_from_router(router, subnet_id=one["subnet_id"])
        own.network.delete_router(router)
    for port in own.network.ports(project_id=project):
        own.network.delete_port(port)
    for network in own.network.networks(project_id=project):
        own.network.delete_network(network)
    for group in cloud.network.security_groups(project_id=project):
        cloud.network.delete_security_group(group)
