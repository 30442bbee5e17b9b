"""Probes of what is at rest: a tenant's key that dies takes its secrets along, raw volumes say nothing."""

from __future__ import annotations

import http.client
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from socle import vault
from socle.audit.collect.collector import FactKind, of_component, of_site
from socle.audit.model import Fact
from socle.audit.probe.canaries import Tenant
from socle.audit.probe.model import Ground, Probe
from socle.audit.probe.remote import call
from socle.errors import SocleError
from socle.site import Host, Site
from socle.vault import tenant_keys

SECONDS: Final = 180
MIB: Final = 1 << 20
LUKS: Final = "4c554b53babe"
"""Magic of both versions (LUKS1 On-Disk Format Specification 1.2.3, LUKS2 1.1.3)."""
VOLUMES, IMAGES = ("cinder", "volumes"), ("glance", "images")
"""Account and pool of the storage cluster."""


def store(tenant: Tenant, text: str) -> str:
    """A secret at Barbican; its identifier."""
    own = tenant.connect()
    try:
        made = own.key_manager.create_secret(
            name="canary",
            payload=text,
            payload_content_type="text/plain",
            secret_type="opaque",  # noqa: S106 - a kind, no secret
        )
        return str(made.secret_ref).rsplit("/", 1)[1]
    finally:
        own.close()


def read_back(tenant: Tenant, secret: str, text: str) -> str:
    """What its owner gets of a secret: ``read``, ``gone``, or the status of the answer."""
    own = tenant.connect()
    try:
        said = own.key_manager.get(f"/secrets/{secret}/payload", headers={"Accept": "text/plain"})
    finally:
        own.close()
    if said.status_code == http.client.OK:
        return "read" if said.text == text else "other"
    return "gone" if said.status_code == http.client.GONE else f"status {said.status_code}"


def _erase(ground: Ground) -> Iterator[Fact]:
    doomed, neighbour = ground.canaries.pair()
    place, text = ground.canaries.place, secrets.token_hex(16)
    own, other = store(doomed, text), store(neighbour, text)
    before = read_back(doomed, own, text)
    erased = tenant_keys.erase(place, vault.eraser_client(place), doomed.name)
    value = {
        "before": before,
        "keys_erased": len(erased),
        "after": read_back(doomed, own, text),
        "neighbour": read_back(neighbour, other, text),
    }
    yield ERASE.told(ground.site.name, value)


def look(site: Site, host: Host, where: tuple[str, str], name: str, marker: str) -> dict[str, Any]:
    """What a host finds in an image of the storage cluster.

    Raises:
        SocleError: the host does not answer, or has no such image.
    """
    account, pool = where
    found: dict[str, Any] = call(site, host, "raw_image", "look", account, f"{pool}/{name}", marker)
    if found["status"] != 0 or not found["bytes"]:
        raise SocleError(f"{pool}/{name} ne s’exporte pas", where=host.name)
    return found


def _raw(ground: Ground) -> Iterator[Fact]:
    site, marker = ground.site, f"canary-{secrets.token_hex(12)}"
    tenant = ground.canaries.pair()[1]
    host = site.hosts[of_component("cinder")(site)[0]]
    own = tenant.connect()
    try:
        image, volume = _filled(own, marker)
    finally:
        own.close()
    source = look(site, host, IMAGES, image, marker)
    found = look(site, host, VOLUMES, f"volume-{volume}", marker)
    value = {
        "header": "luks" if found["head"].startswith(LUKS) else found["head"][:16],
        "bytes": found["bytes"],
        "marker_in_volume": found["marker"],
        "marker_in_image": source["marker"],
    }
    yield RAW.told(site.name, value)


def _filled(own: Any, marker: str) -> tuple[str, str]:
    """Identifiers of an image full of markers, and of a volume that Cinder filled from it."""
    with tempfile.NamedTemporaryFile(prefix="canary-") as file:
        Path(file.name).write_bytes(marker.encode().ljust(64, b".") * (MIB // 64))
        image = own.create_image(
            "canary", filename=file.name, disk_format="raw", container_format="bare", wait=True
        )
    volume = own.block_storage.create_volume(name="canary", size=1, image_id=image.id)
    own.block_storage.wait_for_status(volume, "available", failures=["error"], interval=1, wait=SECONDS)
    return str(image.id), str(volume.id)


ERASE: Final = Probe(
    name="key-erase",
    fact=FactKind("probe.key_erase", of_site, "Un secret canari, avant et après l’effacement de sa clé"),
    tried="un secret de deux clients canaris, lu avant et après l’effacement de la clé du premier",
    effects="deux domaines canaris et leurs clés, effacés ensuite ; la clé du premier l’est pendant l’essai",
    run=_erase,
)
RAW: Final = Probe(
    name="raw-volume",
    fact=FactKind("probe.raw_volume", of_site, "Un volume canari, lu sous le chiffrement"),
    tried="un volume rempli de repères, exporté tel que le stockage le garde, par un contrôleur",
    effects="une image de 1 Mio et un volume de 1 Gio d’un client canari, supprimés ensuite",
    run=_raw,
)
PROBES: Final = (ERASE, RAW)
