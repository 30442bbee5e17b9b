"""``suppliers.yml`` and ``equipment.yml``: who stands behind the site, and what it is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from socle.site.fields import Bool, Count, Day, Entry, HostName, Percent, Positive, Slug, Text

Country = Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["FR"])]

EquipmentKind = Literal[
    "server", "switch", "router", "firewall", "optical", "hsm", "qkd", "power", "software", "other"
]


class Supplier(Entry):
    """A supplier or subcontractor."""

    name: Text
    provides: Text
    country: Country = Field(description="Country of the registered office (ISO 3166-1)")
    largest_share_outside_eu_percent: Percent = Field(
        description="Largest share of capital or votes that one holder from outside the Union has"
    )
    total_share_outside_eu_percent: Percent = Field(
        description="Share of capital or votes of all holders from outside the Union"
    )
    accesses_data: Bool = Field(description="Whether its staff can reach tenants' data or keys")
    escrow: Text | None = Field(None, description="Where its source code is deposited")
    intervention_hours: Count | None = Field(None, description="Hours in which it comes when called")
    contract_end: Day | None = None


class Suppliers(Entry):
    """The suppliers of a site by id."""

    suppliers: dict[Slug, Supplier]


class Item(Entry):
    """One kind of equipment at one place."""

    kind: Literal[
        "server", "switch", "router", "firewall", "optical", "hsm", "qkd", "power", "software", "other"
    ]
    model: Text
    supplier: Slug
    origin: Country
    room: Slug | None = None
    rack: Slug | None = None
    count: Positive = 1
    hosts: tuple[HostName, ...] = ()
    end_of_support: Day | None = None
    spare: Bool = False


class Equipment(Entry):
    """The equipment of a site by id."""

    equipment: dict[Slug, Item]
