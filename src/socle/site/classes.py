"""``classes.yml``: the sizes of tenants, their quotas and prices, and the flavors of servers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from socle.site.fields import Count, Entry, Euros, Positive, Slug, Text

Size = Literal["XS", "S", "M", "L", "XL"]


class Quota(Entry):
    """What each environment of a tenant may use at most."""

    vcpu: Count
    ram_gib: Count
    volume_gib: Count
    public_ips: Count
    servers: Count = 20
    volumes: Count = 20
    snapshots: Count = 20
    secrets: Count = 50
    security_groups: Count = 20


class Ceiling(Entry):
    """How far a tenant's `overrides` may go in this class."""

    vcpu: Count
    ram_gib: Count
    volume_gib: Count
    public_ips: Count


class TenantClass(Entry):
    """One size of tenant."""

    title: Text
    quota: Quota
    ceiling: Ceiling | None = Field(
        None, description="Highest overrides; none means that nothing can be overridden"
    )


class Prices(Entry):
    """Monthly unit prices in euros."""

    vcpu: Euros
    ram_gib: Euros
    volume_gib: Euros
    public_ip: Euros


class Flavor(Entry):
    """A size of server, and the tenant classes that may use it."""

    vcpus: Positive
    ram_mib: Positive
    disk_gib: Positive = Field(
        description="Volume that a server of this size starts from, encrypted with its tenant's key; "
        "it counts in the quota of volumes"
    )
    classes: tuple[Size, ...] = Field(min_length=1)


class Classes(Entry):
    """Sizes, prices and flavors of a site."""

    prices: Prices
    classes: dict[Size, TenantClass]
    flavors: dict[Slug, Flavor]
