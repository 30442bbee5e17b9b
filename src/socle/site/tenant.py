"""``tenants/<siren>.yml``: the request of one collectivity."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from socle.site.classes import Size
from socle.site.fields import (
    Bool,
    Count,
    Day,
    Email,
    Entry,
    Euros,
    Percent,
    Port,
    Positive,
    Siren,
    Slug,
    Text,
)
from socle.site.records import Severity
from socle.site.wrong import wrong

SegmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,14}$", examples=["metier"])]
Environment = Literal["production", "recette", "test"]
INTERNET: Final = "internet"
LINK: Final = "site"
PLACES: Mapping[str, str] = MappingProxyType(
    {INTERNET: "every address", LINK: "the link to the tenant's site"}
)
"""What traffic comes from or goes to under a name that no segment and no destination can have."""

OrganisationType = Literal["commune", "epci", "departement", "hopital", "syndicat"]


class TenantContact(Entry):
    """A contact of the collectivity."""

    email: Email
    name: Text | None = None
    role: Text | None = None
    phone: Text | None = None


class TenantContacts(Entry):
    """Who answers for what."""

    owner: TenantContact
    technical: TenantContact
    security: TenantContact
    dpo: TenantContact


class TenantOrganisation(Entry):
    """The collectivity."""

    name: Annotated[str, Field(min_length=3, max_length=200)]
    siren: Siren
    type: OrganisationType
    contacts: TenantContacts


class Data(Entry):
    """What kind of data the tenant keeps."""

    classification: Literal["public", "internal", "personal", "health"]
    health_data: Bool
    retention_months: Positive


class Lifecycle(Entry):
    """From when to when, and in how many environments."""

    start: Day
    end: Day
    environments: tuple[Environment, ...] = Field(("production",), min_length=1)


class Overrides(Entry):
    """Quotas that differ from the class, up to its ceiling."""

    vcpu: Count | None = None
    ram_gib: Count | None = None
    volume_gib: Count | None = None
    public_ips: Count | None = None


class TenantSegment(Entry):
    """One network of the tenant, in each of its environments."""

    name: SegmentName
    prefix: Annotated[int, Field(ge=24, le=29, strict=True)] = Field(description="Length of the prefix")
    encryption: Literal["required", "optical", "none"]


class Inbound(Entry):
    """Traffic that may enter: a port, from `internet`, `site` (the site link), a segment or a prefix."""

    port: Port
    last_port: Port | None = None
    protocol: Literal["tcp", "udp"] = "tcp"
    source: Text = Field(alias="from", examples=["internet"])
    segment: SegmentName | None = Field(None, description="Only to this segment; to all of them when absent")


class Outbound(Entry):
    """Traffic that may leave: to `internet`, `site`, a destination of site.yml, a segment or a prefix."""

    to: Text = Field(examples=["dns"])
    port: Port | None = Field(None, description="Needed unless `to` is a destination of site.yml")
    protocol: Literal["tcp", "udp"] = "tcp"
    segment: SegmentName | None = None


class SiteLink(Entry):
    """The link to the collectivity's own site; `endpoint` is a link of segments.yml."""

    kind: Literal["optical", "ipsec", "wireguard"]
    endpoint: Slug


class TenantNetwork(Entry):
    """Segments and what may cross their border; everything else is refused both ways."""

    segments: tuple[TenantSegment, ...] = Field(min_length=1)
    inbound: tuple[Inbound, ...] = ()
    outbound: tuple[Outbound, ...] = ()
    site_link: SiteLink | None = None


class Keys(Entry):
    """Who holds the tenant's keys."""

    held_by: Literal["gip", "tenant", "hsm"]
    recipient: Annotated[str, Field(pattern=r"^age1[a-z0-9]{8,}$", examples=["age1…"])] = Field(
        description="age public key that exports are encrypted to"
    )


class Backup(Entry):
    """How volumes are saved."""

    frequency: Literal["hourly", "daily", "weekly"]
    keep_days: Positive
    offsite: Bool = False
    restore_test: Literal["monthly", "quarterly", "yearly"] = "yearly"


class Access(Entry):
    """Who manages the tenant's domain, and how they log in."""

    domain_managers: tuple[Email, ...] = Field(min_length=1)
    federation: Slug | None = None


class Agreement(Entry):
    """What the agreement of service with the collectivity says, and where it is kept."""

    reference: Text
    signed: Day
    availability_percent: Percent | None = Field(None, examples=[99.5])
    backup: Bool | None = Field(None, description="Whether the provider saves the data by itself")
    remote_support: Bool | None = Field(
        None, description="Whether support may reach the tenant's data from afar"
    )
    location: Text | None = Field(
        None, description="Where data is kept and processed, as the tenant was told"
    )
    incident_severity: Severity | None = Field(
        None, description="From which severity on the tenant wants to be told"
    )


class Cost(Entry):
    """Accounting code and the most that may be spent in a month, in euros."""

    code: Text
    monthly_ceiling_eur: Euros


class Reversibility(Entry):
    """How often the tenant is exported, and in what form."""

    frequency: Literal["monthly", "quarterly", "yearly"]
    formats: tuple[Literal["openstack", "proxmox"], ...] = Field(min_length=1)
    rehearsal: Bool = False


class Server(Entry):
    """A server that the kit makes for the tenant."""

    name: SegmentName
    environment: Environment = "production"
    segment: SegmentName
    flavor: Slug
    image: Slug
    public: Bool = Field(False, description="Whether it gets a floating address")
    volumes_gib: tuple[Positive, ...] = ()


_HEALTH_RULE: JsonDict = {
    "allOf": [
        {
            "if": {"properties": {"data": {"properties": {"classification": {"const": "health"}}}}},
            "then": {"properties": {"data": {"properties": {"health_data": {"const": True}}}}},
        }
    ]
}


class Tenant(Entry):
    """Request of a collectivity: one file, one domain of the cloud."""

    model_config = ConfigDict(json_schema_extra=_HEALTH_RULE)

    api_version: Literal["socle/v1"] = Field(alias="apiVersion")
    kind: Literal["Tenant"]
    organisation: TenantOrganisation
    purpose: Annotated[str, Field(min_length=5, max_length=1000)]
    data: Data
    lifecycle: Lifecycle
    size: Size
    overrides: Overrides = Overrides()
    target: Literal["openstack", "proxmox", "auto"] = "openstack"
    network: TenantNetwork
    keys: Keys
    backup: Backup | None = None
    access: Access
    cost: Cost
    reversibility: Reversibility
    agreement: Agreement | None = None
    servers: tuple[Server, ...] = ()

    @property
    def siren(self) -> str:
        """The key of the tenant."""
        return self.organisation.siren

    @model_validator(mode="after")
    def _health_is_marked(self) -> Self:
        if self.data.classification == "health" and not self.data.health_data:
            kind, expected = (
                "health data that is not marked as such",
                "health_data: true with classification: health",
            )
            raise wrong(kind, expected, "health_data: true", "data", "health_data")
        return self
