"""Storage: types and their encryption, volumes and their keys, backups, services; images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from socle.audit.collect.apis.reader import PAGE, Reader

VOLUME = "block_storage"
BACKUP = "cinder-backup"
VERSION = "3.64"
"""From here on a volume names its key."""
SIGNATURE = (
    "img_signature",
    "img_signature_hash_method",
    "img_signature_key_type",
    "img_signature_certificate_uuid",
)


def read(reader: Reader) -> Iterator[tuple[str, Any]]:
    """Each fact of Cinder and Glance."""
    yield "cinder.types", _types(reader)
    yield "cinder.volumes", _volumes(reader)
    services = _services(reader)
    yield "cinder.services", [one for one in services if one["binary"] != BACKUP]
    yield "cinder.backup_services", [one for one in services if one["binary"] == BACKUP]
    yield "cinder.backups", _backups(reader)
    images = list(reader.every("image", "/images", "images", limit=PAGE))
    yield "glance.images", _images(reader, images)
    yield "glance.signatures", _signatures(images)


def _types(reader: Reader) -> dict[str, Any]:
    found = {}
    for one in reader.every(VOLUME, "/types", "volume_types", VERSION, is_public="None"):
        # There is no list of encryptions; a cloud has a handful of types.
        encryption = reader.one(VOLUME, f"/types/{one['id']}/encryption", VERSION)
        found[one["name"]] = {
            "public": one["is_public"],
            **{key: encryption.get(key) for key in ("provider", "cipher", "key_size", "control_location")},
        }
    return dict(sorted(found.items()))


def _volumes(reader: Reader) -> list[dict[str, Any]]:
    listed = reader.every(VOLUME, "/volumes/detail", "volumes", VERSION, all_tenants=1, limit=PAGE)
    found = [
        {
            "id": one["id"],
            "project": reader.project(one["os-vol-tenant-attr:tenant_id"]),
            "type": one["volume_type"],
            "encrypted": one["encrypted"],
            "key": _mark(one.get("encryption_key_id")),
            "status": one["status"],
            "gib": one["size"],
        }
        for one in listed
    ]
    return sorted(found, key=lambda one: one["id"])


def _mark(key: str | None) -> str | None:
    """Tells keys apart; the id of the key in Barbican stays there."""
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else None


def _services(reader: Reader) -> list[dict[str, Any]]:
    found = [
        {key: one[key] for key in ("binary", "host", "zone", "status", "state")}
        for one in reader.every(VOLUME, "/os-services", "services", VERSION)
    ]
    return sorted(found, key=lambda one: (one["binary"], one["host"]))


def _backups(reader: Reader) -> list[dict[str, Any]]:
    listed = reader.every(VOLUME, "/backups/detail", "backups", VERSION, all_tenants=1, limit=PAGE)
    found = [
        {
            "id": one["id"],
            "project": reader.project(one.get("os-backup-project-attr:project_id")),
            "volume": one["volume_id"],
            "status": one["status"],
            "created": one["created_at"],
            "encrypted": bool(one.get("encryption_key_id")),
        }
        for one in listed
    ]
    return sorted(found, key=lambda one: one["id"])


def _images(reader: Reader, images: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = [
        {
            "name": one.get("name") or one["id"],
            "project": reader.project(one.get("owner")),
            "visibility": one["visibility"],
            "hidden": one.get("os_hidden", False),
            "status": one["status"],
            "created": one["created_at"],
            "hash": one.get("os_hash_algo"),
        }
        for one in images
    ]
    return sorted(found, key=lambda one: (one["name"], one["created"]))


def _signatures(images: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Whether Nova could verify each image: the four properties that it asks for."""
    found = [
        {
            "name": one.get("name") or one["id"],
            "visibility": one["visibility"],
            "signed": all(one.get(name) for name in SIGNATURE),
        }
        for one in images
    ]
    return sorted(found, key=lambda one: one["name"])
