"""Compute: hypervisors, services, flavors, servers, and what Placement knows of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from socle.audit.collect.apis.reader import PAGE, Reader

COMPUTE = "compute"
VERSION = "2.90"
PLACEMENT_VERSION = "1.30"


def read(reader: Reader) -> Iterator[tuple[str, Any]]:
    """Each fact of Nova and Placement."""
    yield "nova.hypervisors", _hypervisors(reader)
    yield "nova.services", _services(reader)
    yield "nova.flavors", _flavors(reader)
    yield "nova.servers", _servers(reader)
    yield (
        "placement.providers",
        sorted(
            provider["name"]
            for provider in reader.every(
                "placement", "/resource_providers", "resource_providers", PLACEMENT_VERSION
            )
        ),
    )


def _hypervisors(reader: Reader) -> dict[str, Any]:
    listed = reader.every(COMPUTE, "/os-hypervisors/detail", "hypervisors", VERSION)
    found = {
        one["hypervisor_hostname"]: {
            "host": one["service"]["host"],
            "state": one["state"],
            "status": one["status"],
            "type": one["hypervisor_type"],
        }
        for one in listed
    }
    return dict(sorted(found.items()))


def _services(reader: Reader) -> list[dict[str, Any]]:
    found = [
        {key: one[key] for key in ("binary", "host", "zone", "status", "state")}
        for one in reader.every(COMPUTE, "/os-services", "services", VERSION)
    ]
    return sorted(found, key=lambda one: (one["binary"], one["host"]))


def _flavors(reader: Reader) -> dict[str, Any]:
    listed = reader.every(COMPUTE, "/flavors/detail", "flavors", VERSION, is_public="None", limit=PAGE)
    found = {
        one["name"]: {
            "public": one["os-flavor-access:is_public"],
            "disk_gib": one["disk"],
            "extra": dict(sorted((one.get("extra_specs") or {}).items())),
        }
        for one in listed
    }
    return dict(sorted(found.items()))


def _servers(reader: Reader) -> list[dict[str, Any]]:
    listed = reader.every(COMPUTE, "/servers/detail", "servers", VERSION, all_tenants=1, limit=PAGE)
    found = [
        {
            "id": one["id"],
            "project": reader.project(one["tenant_id"]),
            "hypervisor": one["OS-EXT-SRV-ATTR:hypervisor_hostname"],
            "zone": one["OS-EXT-AZ:availability_zone"],
            "status": one["status"],
            "starts_from": "image" if one["image"] else "volume",
            "volumes": len(one.get("os-extended-volumes:volumes_attached") or []),
        }
        for one in listed
    ]
    return sorted(found, key=lambda one: one["id"])
