"""Volumes are encrypted with their tenant's key, and dead without it: on raw storage and by an attach."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openstack
import pytest
from openstack.exceptions import HttpException

from socle import catalogue, tenants, vault
from socle.site.settings import VOLUME_TYPE
from socle.tenants.volume_encryption import ENCRYPTION
from socle.vault import tenant_keys
from tests.lab.guests import starts_from
from tests.waiting import eventually

LUKS1 = "4c554b53babe0001"
MASTER_KEY_BYTES = "00000040"
"""At offset 108: 64 bytes, the two halves of AES-256-XTS's key (LUKS1 On-Disk Format Specification 1.2.3)."""
MIB = 1 << 20


@dataclass
class Member:
    """A tenant made for these tests: one project, one member, one server, one volume from a marked image."""

    domain: str
    connection: Any
    marker: str
    image: Any = None
    server: Any = None
    volume: Any = None

    def make(self, cloud: Any, folder: Path) -> None:
        """An image with the marker in it, the volume that Cinder fills from it, a server without network."""
        file = folder / f"{self.domain}.raw"
        file.write_bytes(self.marker.encode().ljust(64, b".") * (MIB // 64))
        own = self.connection
        self.image = own.create_image(
            self.domain, filename=str(file), disk_format="raw", container_format="bare", wait=True
        )
        self.volume = own.block_storage.create_volume(name=self.domain, size=1, image_id=self.image.id)
        guest = cloud.image.find_image("socle-web", ignore_missing=False)
        flavor = min(cloud.compute.flavors(), key=lambda f: (f.ram, f.vcpus))
        self.server = own.compute.create_server(
            name=self.domain, block_device_mapping=starts_from(guest), flavor_id=flavor.id, networks="none"
        )
        self.volume = own.block_storage.wait_for_status(
            self.volume, "available", failures=["error"], interval=1, wait=180
        )
        self.server = own.compute.wait_for_server(self.server, wait=180)

    def attach(self) -> bool:
        """Whether the volume can be attached; a failed attach leaves it available again."""
        self.connection.compute.create_volume_attachment(self.server, volume_id=self.volume.id)
        status = eventually(self.status, lambda now: now in {"in-use", "available", "error"}, pause=1)
        return status == "in-use"

    def detach(self) -> None:
        """Detach the volume, and wait until Nova has forgotten it."""
        self.connection.compute.delete_volume_attachment(self.server, self.volume.id)
        eventually(self.status, lambda now: now == "available", pause=1)
        eventually(self.is_forgotten)

    def is_forgotten(self) -> bool:
        """Whether Nova knows of no attachment of the volume."""
        attachments = self.connection.compute.volume_attachments(self.server)
        return self.volume.id not in {attachment.volume_id for attachment in attachments}

    def status(self) -> str:
        """The volume's status now."""
        return str(self.connection.block_storage.get_volume(self.volume.id).status)

    def keys(self) -> list[bytes]:
        """The keys of its volumes, the server's own among them, as Barbican gives them to a member."""
        return [self._key(secret.secret_ref) for secret in self.connection.key_manager.secrets()]

    def _key(self, reference: str) -> bytes:
        path = f"/secrets/{reference.rsplit('/', 1)[1]}/payload"
        answer = self.connection.key_manager.get(path, headers={"Accept": "application/octet-stream"})
        openstack.exceptions.raise_from_response(answer)
        return bytes(answer.content)

    def remove(self, cloud: Any) -> None:
        """Delete what ``make`` made."""
        if self.server:
            cloud.compute.delete_server(self.server, force=True)
            cloud.compute.wait_for_delete(self.server, interval=1, wait=90)
        if self.volume:
            self.connection.block_storage.delete_volume(self.volume)
            self.connection.block_storage.wait_for_delete(self.volume, interval=1, wait=90)
        if self.image:
            self.connection.image.delete_image(self.image)


@pytest.fixture(scope="module")
def members(lab: Any, cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    """Two tenants in domains of their own, removed afterwards with their keys."""
    made, domains = [], []
    folder = tmp_path_factory.mktemp("volumes")
    place = vault.place_of(lab.site, catalogue.load())
    try:
        for _n in range(2):
            name = f"t-{secrets.token_hex(6)}"
            domains.append(cloud.identity.create_domain(name=name))
            made.append(Member(name, _log_in(lab, cloud, domains[-1]), f"marker-{secrets.token_hex(12)}"))
        # At once: neither may get its key by the other's login (docs/decisions/0008-one-key-per-tenant.md).
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda member: member.make(cloud, folder), made))
        yield made
    finally:
        for member in made:
            member.remove(cloud)
            member.connection.close()
        for domain in domains:
            tenant_keys.erase(place, vault.eraser_client(place), domain.name)
            cloud.identity.update_domain(domain, is_enabled=False)
            cloud.identity.delete_domain(domain)


def _log_in(lab: Any, cloud: Any, domain: Any) -> Any:
    """A connection as the only member of a new project of the domain."""
    password = secrets.token_urlsafe(24)
    project = cloud.identity.create_project(name="production", domain_id=domain.id)
    user = cloud.identity.create_user(name="member", domain_id=domain.id, password=password)
    role = cloud.identity.find_role("member", ignore_missing=False)
    cloud.identity.assign_project_role_to_user(project, user, role)
    return openstack.connect(
        auth_url=tenants.session_of(lab.site).auth_url,
        username="member",
        password=password,
        project_name="production",
        user_domain_id=domain.id,
        project_domain_id=domain.id,
        region_name=lab.site.region,
        interface="public",
        cacert=str(lab.ca_file),
    )


def raw(lab: Any, pool: str, account: str, image: str, then: str) -> str:
    """What a shell command makes of an image of the storage cluster, read below all encryption."""
    command = f"timeout 100 rbd --id {account} export --no-progress {pool}/{image} - | {then}"
    return "".join(lab.on("ctl1", command, check=False).split())


def search(marker: str) -> str:
    """A shell command that counts a marker; zeros end its lines, or a thin volume would be one of a GiB."""
    return rf'tr "\000" "\n" | grep -a -c {marker}'


def test_every_volume_is_of_the_encrypted_type(cloud: Any, members: list[Member]) -> None:
    for member in members:
        types = {kind.name: kind for kind in member.connection.block_storage.types()}
        assert set(types) == {VOLUME_TYPE}, "a tenant can choose no other"
        volume = member.connection.block_storage.get_volume(member.volume.id)
        assert volume.is_encrypted
        assert volume.volume_type == VOLUME_TYPE, "nobody asked for it: it is the default"
    found = cloud.block_storage.get_type_encryption(cloud.block_storage.find_type(VOLUME_TYPE))
    assert {name: getattr(found, name) for name in ENCRYPTION} == ENCRYPTION


def test_raw_storage_holds_luks_and_not_the_marker(lab: Any, members: list[Member]) -> None:
    for member in members:
        volume = f"volume-{member.volume.id}"
        assert raw(lab, "volumes", "cinder", volume, "head -c 8 | od -An -v -tx1") == LUKS1
        header = raw(lab, "volumes", "cinder", volume, "head -c 112 | tail -c 4 | od -An -v -tx1")
        assert header == MASTER_KEY_BYTES
        assert raw(lab, "volumes", "cinder", volume, search(member.marker)) == "0"
        # The same search finds the marker where nothing is encrypted: in the image that it came from.
        assert raw(lab, "images", "glance", member.image.id, search(member.marker)) != "0"


def test_databases_dump_holds_no_key(lab: Any, members: list[Member]) -> None:
    dump = lab.on("ctl1", "mariadb-dump --skip-extended-insert barbican")
    for member in members:
        assert f"{member.domain}." in dump, "the dump names the tenant's transit key"
        keys = member.keys()
        assert len(keys) == 2
        for key in keys:
            assert key.hex() not in dump
            assert base64.b64encode(key).decode() not in dump


def test_a_server_starts_from_an_encrypted_volume(lab: Any, members: list[Member]) -> None:
    for member in members:
        (own,) = member.connection.compute.volume_attachments(member.server)
        assert member.connection.block_storage.get_volume(own.volume_id).is_encrypted
        assert raw(lab, "volumes", "cinder", f"volume-{own.volume_id}", "head -c 8 | od -An -v -tx1") == LUKS1


@pytest.mark.parametrize("who", ["tenant", "administrator"])
def test_nobody_starts_a_server_from_a_disk_of_the_hypervisor(
    cloud: Any, members: list[Member], who: str
) -> None:
    own = cloud if who == "administrator" else members[0].connection
    image = cloud.image.find_image("socle-web", ignore_missing=False)
    flavor = next(iter(cloud.compute.flavors()))
    with pytest.raises(HttpException) as caught:
        own.compute.create_server(name="local", image_id=image.id, flavor_id=flavor.id, networks="none")
    assert caught.value.response.status_code == 403


def test_hypervisors_hold_no_disks(lab: Any, members: list[Member]) -> None:
    for node in ("cmp1", "cmp2"):
        found = lab.on(node, "find /var/lib/nova/instances -type f -name 'disk*' ! -name disk.info")
        assert found.split() == []


def test_volume_is_detached_and_attached_again(members: list[Member]) -> None:
    def twice(member: Member) -> None:
        for _turn in range(2):
            assert member.attach()
            member.detach()

    with ThreadPoolExecutor() as pool:
        list(pool.map(twice, members))


def test_deleted_key_kills_one_tenants_volume_and_no_other(lab: Any, members: list[Member]) -> None:
    """The last test of this file: afterwards the first tenant's data is gone."""
    first, second = members
    place = vault.place_of(lab.site, catalogue.load())
    (erased,) = tenant_keys.erase(place, vault.eraser_client(place), first.domain)
    assert erased.startswith(f"{first.domain}.")
    assert not first.attach()
    eventually(first.is_forgotten)
    with pytest.raises(HttpException) as caught:
        first.keys()
    assert caught.value.response.status_code == 410
    assert second.attach()
    second.detach()
