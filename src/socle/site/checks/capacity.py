"""Capacity: what all quotas promise together, against what the machines hold."""

from __future__ import annotations

from collections.abc import Iterator

from socle.site.capacity import site_capacity
from socle.site.classes import Classes
from socle.site.document import Fault
from socle.site.hosts import HostsFile, hosts_of
from socle.site.model import quota_of
from socle.site.parts import Part
from socle.site.registry import Registry
from socle.site.settings import Settings
from socle.site.tenant import Tenant

ENDED = {"erased", "certified"}
REMEDIES = {
    "vcpu": "add a compute host, or raise nova.cpu_allocation_ratio in site.yml",
    "ram_gib": "add a compute host",
    "volume_gib": "add an OSD, or raise storage.overcommit in site.yml",
    "public_ips": "enlarge the pool of the provider zone in site.yml",
}


def quotas_fit(
    settings: Part[Settings],
    hosts: Part[HostsFile],
    classes: Part[Classes],
    registry: Part[Registry],
    tenants: dict[str, Part[Tenant]],
) -> Iterator[Fault]:
    """The sum of all quotas is within capacity; the tenant that goes beyond it is named, the newest last."""
    capacity = site_capacity(settings.value, hosts_of(hosts.value, settings.value.storage.osds).values())
    known = registry.value.tenants
    living = [
        part
        for part in sorted(tenants.values(), key=lambda p: (p.value.siren not in known, p.value.siren))
        if part.value.size in classes.value.classes
        and not (part.value.siren in known and known[part.value.siren].state in ENDED)
    ]
    for key, remedy in REMEDIES.items():
        yield from _beyond(living, classes.value, key, getattr(capacity, key), remedy)


def _beyond(
    tenants: list[Part[Tenant]], classes: Classes, key: str, capacity: float, remedy: str
) -> Iterator[Fault]:
    promised = 0
    for part in tenants:
        mine = getattr(quota_of(part.value, classes), key) * len(part.value.lifecycle.environments)
        promised += mine
        if promised > capacity:
            at = ("overrides", key) if getattr(part.value.overrides, key) is not None else ("size",)
            yield part.fault(
                *at,
                what=f"its {mine} `{key}` bring the quotas to {promised}, above the {capacity:g} of the site",
                expected=f"at most {max(0, capacity - promised + mine):g} for this tenant",
                write=f"choose a smaller size, or {remedy}",
            )
            return


CHECKS = (quotas_fit,)
