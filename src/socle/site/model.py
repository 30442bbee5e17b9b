"""The site: everything that its folder says, typed, checked once, and read by roles, stacks and commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel

from socle.catalogue.model import Zone
from socle.site.addresses import TenantSubnet
from socle.site.classes import Classes, Flavor, Quota
from socle.site.evidence import Evidence
from socle.site.hosts import Group, Host
from socle.site.people import People
from socle.site.registry import Registry, State
from socle.site.segments import Segments
from socle.site.settings import Endpoints, Image, OpenBao, Settings, ZoneSettings
from socle.site.suppliers import Item, Supplier
from socle.site.tenant import Tenant
from socle.site.waivers import Waiver


def quota_of(tenant: Tenant, classes: Classes) -> Quota:
    """The quota of each environment of a tenant: that of its class, with its overrides."""
    changes = tenant.overrides.model_dump(exclude_none=True)
    base = classes.classes[tenant.size].quota
    return base.model_copy(update=changes) if changes else base


def monthly_estimate(tenant: Tenant, classes: Classes) -> float:
    """Price in euros of a month in which the whole quota of every environment is used."""
    quota, prices = quota_of(tenant, classes), classes.prices
    each = (
        quota.vcpu * prices.vcpu
        + quota.ram_gib * prices.ram_gib
        + quota.volume_gib * prices.volume_gib
        + quota.public_ips * prices.public_ip
    )
    return round(each * len(tenant.lifecycle.environments), 2)


@dataclass(frozen=True)
class Site:
    """A site folder that passed every check."""

    name: str
    folder: Path
    settings: Settings
    hosts: Mapping[str, Host]
    people: People
    classes: Classes
    segments: Segments
    suppliers: Mapping[str, Supplier]
    equipment: Mapping[str, Item]
    waivers: Mapping[str, Waiver]
    evidence: Mapping[str, Evidence]
    tenants: Mapping[str, Tenant]
    registry: Registry
    subnets: Mapping[str, tuple[TenantSubnet, ...]]
    records: Mapping[str, Mapping[str, BaseModel]] = field(default_factory=dict)
    """The registers that the site keeps, by name; entries by id."""

    @property
    def domain(self) -> str:
        """DNS domain of the site."""
        return self.settings.domain

    @property
    def region(self) -> str:
        """Name of the OpenStack region."""
        return self.settings.region

    @property
    def zones(self) -> Mapping[Zone, ZoneSettings]:
        """Network zones by name."""
        return self.settings.zones

    @property
    def endpoints(self) -> Endpoints:
        """The shared names and addresses of the APIs."""
        return self.settings.endpoints

    @property
    def openbao(self) -> OpenBao:
        """How OpenBao is named and unsealed."""
        return self.settings.openbao

    @property
    def is_lab(self) -> bool:
        """Whether one machine plays the custodians' parts; only a site of containers may say so."""
        return self.openbao.custody == "test-custodians"

    @cached_property
    def images(self) -> Mapping[str, Image]:
        """Guest images by name."""
        return {image.name: image for image in self.settings.images}

    @property
    def flavors(self) -> Mapping[str, Flavor]:
        """Flavors by name."""
        return self.classes.flavors

    def group(self, name: Group) -> tuple[Host, ...]:
        """The hosts of a group, in the order of the inventory."""
        return tuple(host for host in self.hosts.values() if name in host.groups)

    def tenant_networks(self, siren: str) -> tuple[TenantSubnet, ...]:
        """The subnets of a tenant, one for each segment in each environment."""
        return self.subnets[siren]

    def tenant_quota(self, siren: str) -> Quota:
        """The quota of each environment of a tenant."""
        return quota_of(self.tenants[siren], self.classes)

    def tenant_estimate(self, siren: str) -> float:
        """Highest price of a month, in euros."""
        return monthly_estimate(self.tenants[siren], self.classes)

    def tenant_state(self, siren: str) -> State:
        """Where a tenant is in its life; a new file is active."""
        entry = self.registry.tenants.get(siren)
        return entry.state if entry else "active"
