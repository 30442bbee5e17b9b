"""``suppliers.yml`` and ``equipment.yml``: who stands behind the site, and what it is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from socle.site.fields import Bool, Count, Day, Entry, Fqdn, HostName, Percent, Positive, Slug, Text

Country = Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["FR"])]

EquipmentKind = Literal[
    "server", "switch", "router", "firewall", "optical", "hsm", "qkd", "power", "cooling", "software", "other"
]
Need = Annotated[int, Strict(), Field(ge=1, le=4)]


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
    domains: tuple[Fqdn, ...] = Field((), description="Hosts from which the site gets packages and images")
    subcontractors: tuple[Slug, ...] | None = Field(
        None, description="Its own suppliers that take part, by their ids; empty when there are none"
    )
    qualified: Bool = Field(False, description="Whether its service is qualified SecNumCloud itself")


class Suppliers(Entry):
    """The suppliers of a site by id."""

    suppliers: dict[Slug, Supplier]


class SecurityNeed(Entry):
    """What an equipment needs, from 1 (little) to 4 (vital)."""

    availability: Need
    integrity: Need
    confidentiality: Need


class Licence(Entry):
    """The right to use a software."""

    reference: Text = Field(examples=["Apache-2.0"])
    end: Day | None = Field(None, description="None when it does not end")


class Maintenance(Entry):
    """The contract under which an equipment is repaired and gets its security updates."""

    contract: Text
    end: Day
    security_updates: Bool


class Item(Entry):
    """One kind of equipment at one place."""

    kind: EquipmentKind
    model: Text
    supplier: Slug
    origin: Country
    room: Slug | None = None
    rack: Slug | None = None
    count: Positive = 1
    hosts: tuple[HostName, ...] = ()
    end_of_support: Day | None = None
    spare: Bool = False
    identifiers: tuple[Text, ...] = Field((), description="Serial or asset numbers, one for each piece")
    function: Text | None = Field(None, description="What it is for")
    owner: Text | None = None
    security_need: SecurityNeed | None = None
    licence: Licence | None = None
    maintenance: Maintenance | None = None


class Equipment(Entry):
    """The equipment of a site by id."""

    equipment: dict[Slug, Item]
