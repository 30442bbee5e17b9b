"""What a site can promise to its tenants, by the machines that ``hosts.yml`` describes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from socle.site.hosts import Host
from socle.site.model import Site
from socle.site.settings import Settings

MIB_PER_GIB = 1024


@dataclass(frozen=True)
class SiteCapacity:
    """What the site can promise."""

    vcpu: float
    ram_gib: float
    volume_gib: float
    public_ips: float


def site_capacity(settings: Settings, hosts: Collection[Host]) -> SiteCapacity:
    """Hypervisors with their allocation ratios, disks over their replicas, floating addresses."""
    computes = [host.capacity for host in hosts if "computes" in host.groups and host.capacity]
    nova, storage = settings.nova, settings.storage
    reserved = nova.reserved_host_memory_mib / MIB_PER_GIB
    raw = sum(osd.gib for host in hosts for osd in host.osds)
    provider = settings.zones.get("provider")
    pool = provider.pool if provider else None
    return SiteCapacity(
        vcpu=sum(c.vcpu for c in computes) * nova.cpu_allocation_ratio,
        ram_gib=sum(max(0.0, c.ram_gib - reserved) for c in computes) * nova.ram_allocation_ratio,
        volume_gib=raw / storage.replicas * storage.overcommit,
        public_ips=int(pool.last) - int(pool.first) + 1 if pool else 0,
    )


def site_capacity_of(site: Site) -> SiteCapacity:
    """The capacity of a loaded site."""
    return site_capacity(site.settings, site.hosts.values())
