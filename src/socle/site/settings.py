"""``site.yml``: who runs the site, its zones and shared addresses, and the choices for every node."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator
from pydantic_core import PydanticCustomError

from socle.catalogue.model import Zone
from socle.site import patterns
from socle.site.fields import (
    AnyPrefix,
    Count,
    DayTime,
    Email,
    Entry,
    Fqdn,
    Int,
    IPAddress,
    MachineAddress,
    Mtu,
    Percent,
    Port,
    Positive,
    Prefix,
    Ratio,
    Sha256,
    Siren,
    Slug,
    Text,
    TimeZone,
    Url,
    Vlan,
)
from socle.site.wrong import wrong


def one_of(kind: str, first: str, second: str, example: str) -> PydanticCustomError:
    """The error of an entry that must hold exactly one of two keys."""
    return wrong(kind, f"`{first}` or `{second}`", example)


VOLUME_TYPE: Final = "encrypted"

OTHER_ACCOUNTS: Final = ("root", "socle-audit")
"""Accounts of nodes that have another task, or none over SSH."""


ServiceKind = Literal["IaaS", "CaaS", "PaaS", "SaaS"]


class Contact(Entry):
    """Whom to write to."""

    name: Text
    email: Email
    phone: Text | None = None


class Organisation(Entry):
    """The GIP that runs the site."""

    name: Text = Field(description="Name of the GIP", examples=["GIP Numérique Exemple"])
    siren: Siren
    contact: Contact


class Pool(Entry):
    """The floating addresses, first and last included."""

    first: IPAddress
    last: IPAddress


class ZoneSettings(Entry):
    """One network zone of the site; what may cross into it comes from the service catalogue."""

    prefix: Prefix
    gateway: IPAddress | None = Field(None, description="Router of the zone, when it has one")
    mtu: Mtu = 1500
    vlan: Vlan | None = Field(None, description="VLAN of the zone on the switches")
    pool: Pool | None = Field(None, description="Floating addresses; only for the provider zone")


class Endpoint(Entry):
    """A name and a virtual address that the controllers share."""

    name: Fqdn
    address: MachineAddress


class Endpoints(Entry):
    """Where the APIs answer: `internal` in the admin zone, `public` in the api zone."""

    internal: Endpoint
    public: Endpoint


class Mirror(Entry):
    """The Debian mirror of the nodes."""

    url: Url = Field(examples=["http://deb.debian.org/debian"])
    suite: Literal["trixie"] = "trixie"
    components: tuple[Slug, ...] = ("main",)
    addresses: tuple[Prefix, ...] = Field(
        (), description="Where the mirror answers: the firewall of the nodes lets them call nothing else"
    )


class Release(Entry):
    """The releases that the site stays on."""

    debian: Literal["13"]
    openstack: Literal["2025.1"]


class Binary(Entry):
    """A binary of the site's own instead of the one that the kit builds."""

    path: Text
    sha256: Sha256


class Binaries(Entry):
    """The site's own binaries; what is not named is built from the pinned sources."""

    bao: Binary | None = None
    pulumi: Binary | None = None
    pulumi_resource_openstack: Binary | None = None


class Hsm(Entry):
    """The key in an HSM with which OpenBao unseals itself; its PIN is on the vault nodes alone."""

    library: Text = Field(
        description="PKCS#11 library on the nodes", examples=["/usr/lib/libvendor-pkcs11.so"]
    )
    token_label: Text
    key_label: Text = Field(description="An AES-256 key that may encrypt and decrypt, and not be extracted")


class OpenBao(Entry):
    """OpenBao: its name, how it is unsealed and who holds the shares."""

    name: Fqdn = Field(description="Name of the API; resolves to every vault node")
    seal: Literal["shamir", "pkcs11"] = Field(
        "shamir",
        description="Who unseals a node that starts: custodians or an HSM; the custodians stay the "
        "quorum for everything else",
    )
    hsm: Hsm | None = Field(None, description="The HSM's key, for `seal: pkcs11`")
    shares: Annotated[int, Strict(), Field(ge=1, le=255, examples=[5])] = 5
    threshold: Positive = 3
    custody: Literal["custodians", "test-custodians"] = Field(
        "custodians",
        description="Who holds the unseal shares: the custodians of people.yml, each by a PGP key. For a lab "
        "only, this machine can make the keys of those people and play their parts",
    )

    @model_validator(mode="after")
    def _hsm_is_named(self) -> Self:
        if (self.seal == "pkcs11") != (self.hsm is not None):
            kind = "the seal is opened by custodians or by an HSM"
            raise one_of(kind, "seal: shamir", "hsm", "seal: shamir")
        return self

    @model_validator(mode="after")
    def _threshold_fits(self) -> Self:
        if self.threshold > self.shares:
            kind = f"the threshold {self.threshold} is above the number of shares {self.shares}"
            raise wrong(kind, "threshold ≤ shares", "threshold: 3")
        if self.shares > 1 and self.threshold == 1:
            kind = f"with the threshold 1 each of {self.shares} custodians is a quorum alone"
            raise wrong(kind, "a threshold of 2 or more", "threshold: 2")
        return self


class Logs(Entry):
    """The central store of logs, on the vault nodes."""

    retention_months: Int = Field(12, ge=1, le=120, examples=[12], description="Months that logs are kept")
    seal_minutes: Int = Field(15, ge=1, le=60, examples=[15], description="Minutes between two seals")


class Timestamps(Entry):
    """Who dates the evidence of audits (RFC 3161); this machine itself when nobody is named."""

    url: Url | None = Field(None, description="Time-stamping authority, called by the deploying machine")
    ca_file: Text | None = Field(None, description="Its certificate, PEM, in the site folder")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.url is None) != (self.ca_file is None):
            kind, example = "an authority without a certificate proves nothing", "ca_file: tsa.pem"
            raise one_of(kind, "url and ca_file", "neither", example)
        return self


class Alerts(Entry):
    """Whom the daily audit writes to when something turned red, beside the journal of its machine."""

    to: Email
    sender: Email | None = Field(None, description="Address that the mail comes from; `to` when not said")
    relay: Fqdn = Field(description="Mail relay, called by the deploying machine, TLS from the first byte")
    port: Port = 465
    ca_file: Text | None = Field(
        None, description="Authority of its certificate, PEM, in the site folder; the system's when not said"
    )


class Auditing(Entry):
    """What the compliance suite needs to know of the site."""

    timestamps: Timestamps = Timestamps()
    daily: DayTime = Field("04:20", description="When the daily audit begins, in the site's time zone")
    alerts: Alerts | None = None


class Vulnerabilities(Entry):
    """Local copies of databases of vulnerabilities, by paths from the site's folder; nothing is fetched."""

    osv: Text | None = Field(
        None, description="Folder of OSV records, one JSON file each", examples=["/srv/osv"]
    )
    debian_tracker: Text | None = Field(
        None, description="JSON of Debian's security tracker", examples=["/srv/debian-tracker.json"]
    )


class Image(Entry):
    """A guest image: built by the kit, or fetched and checked."""

    name: Slug
    build: Slug | None = Field(None, description="Recipe of the kit that builds it", examples=["web"])
    url: Url | None = None
    sha256: Sha256 | None = None
    min_ram_mib: Count = 0
    min_disk_gib: Count = 0
    properties: dict[str, Text] = Field(default_factory=dict, description="Glance properties")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.build is None) == (self.url is None):
            raise one_of("an image comes from one place", "build", "url", "build: web")
        if self.url and not self.sha256:
            raise wrong("a fetched image has no hash", "`sha256`", "sha256: …")
        return self


class Osd(Entry):
    """One Ceph OSD: a whole device, or a sparse file (for a lab)."""

    device: Text | None = Field(None, examples=["/dev/nvme0n1"])
    file_gib: Positive | None = None
    size_gib: Positive | None = Field(None, description="Size of the device, for the capacity check")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.device is None) == (self.file_gib is None):
            raise one_of("an OSD is one thing", "device", "file_gib", "device: /dev/nvme0n1")
        if self.device and not re.match(r"/dev/[^\s/]", self.device):
            kind = f"`{self.device:.40}` is no device"
            raise wrong(kind, "a path below /dev", "device: /dev/nvme0n1", "device")
        if self.device and self.size_gib is None:
            raise wrong("a device has no size", "`size_gib`", "size_gib: 1788")
        return self

    @property
    def gib(self) -> int:
        """Raw size in GiB."""
        return self.file_gib or self.size_gib or 0


class Storage(Entry):
    """The block storage cluster."""

    replicas: Int = Field(3, ge=1, le=5, examples=[3])
    osds: tuple[Osd, ...] = Field(description="OSDs of each storage host that names none of its own")
    overcommit: Ratio = Field(
        1.0, description="Volumes promised over usable space; above 1 counts on thin ones"
    )
    volume_type: Literal["encrypted"] = Field(
        VOLUME_TYPE, description="The type of every volume, and Cinder's default; no other can be chosen"
    )


class Nova(Entry):
    """Hypervisors."""

    virt_type: Literal["kvm", "qemu"] = "kvm"
    cpu_allocation_ratio: Ratio = 4.0
    ram_allocation_ratio: Ratio = 1.0
    disk_allocation_ratio: Ratio = 1.0
    reserved_host_memory_mib: Count = 4096


class DestinationPort(Entry):
    """A port of a named destination."""

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"


class Destination(Entry):
    """A place that tenants may name in `outbound`."""

    prefixes: tuple[Prefix, ...] = Field(min_length=1)
    ports: tuple[DestinationPort, ...] = Field(min_length=1)


class Location(Entry):
    """A place where the site keeps, processes or administers something."""

    title: Text
    address: Text
    country: Annotated[str, Field(pattern=patterns.COUNTRY, examples=["FR"])]
    prefixes: tuple[AnyPrefix, ...] = Field(
        (), description="Networks of which every address is at this place"
    )


class Settings(Entry):
    """A site: one cloud, run by one GIP."""

    title: Text = Field(description="What the site is called", examples=["Nuage du GIP Exemple"])
    organisation: Organisation
    domain: Fqdn = Field(examples=["lab.socle.test"])
    region: Slug = Field(examples=["lab"])
    deploy_user: Slug = Field("socle", description="Account that deploys over SSH")
    deployers: tuple[MachineAddress, ...] = Field(
        min_length=1, description="Addresses from which the site is deployed: the firewall lets them in"
    )
    zones: dict[Zone, ZoneSettings]
    endpoints: Endpoints
    tenant_pool: Prefix = Field(description="Tenants' segments get their prefixes from here")
    destinations: dict[Slug, Destination] = Field(default_factory=dict)
    federations: tuple[Slug, ...] = ()
    ntp: tuple[IPAddress, ...] = Field(
        min_length=1, description="Time servers by address: the firewall lets the nodes call them"
    )
    dns: tuple[IPAddress, ...] = Field(description="DNS servers of the nodes; may be empty")
    timezone: TimeZone = "Europe/Paris"
    mirror: Mirror
    release: Release
    openbao: OpenBao
    logs: Logs = Logs()
    audit: Auditing = Auditing()
    vulnerabilities: Vulnerabilities = Vulnerabilities()
    binaries: Binaries = Binaries()
    images: tuple[Image, ...]
    storage: Storage
    nova: Nova = Nova()
    services: tuple[ServiceKind, ...] = Field(
        ("IaaS",), min_length=1, description="Kinds of service that the site offers"
    )
    locations: dict[Slug, Location] = Field(
        default_factory=dict, description="Rooms of hosts.yml by name, and the other places of the service"
    )
    availability_percent: Percent | None = Field(
        None, description="Availability in a month that the site aims at", examples=[99.5]
    )
    incident_contact: Email | None = Field(None, description="Where anybody reports incidents and flaws")
    workers: Int = Field(2, ge=1, le=64, examples=[2], description="Processes of each API on a controller")

    @field_validator("deploy_user")
    @classmethod
    def _is_an_account_of_its_own(cls, value: str) -> str:
        if value in OTHER_ACCOUNTS:
            kind = f"nodes do not let {value} in to deploy"
            raise wrong(kind, "an account of its own, which becomes root by sudo", "deploy_user: socle")
        return value
