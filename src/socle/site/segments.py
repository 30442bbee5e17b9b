"""``segments.yml``: the encrypted network segments between machines and sites, and the tenants' links.

Vendor neutral; secrets appear only as OpenBao references. Their invariants are in ``checks/invariants.py``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from socle.site.fields import Bool, Entry, Interface, Moment, Mtu, Positive, Slug, Text, Vlan

SegmentId = Annotated[str, Field(pattern=r"^[a-z0-9-]{3,40}$", examples=["dc1-dc2-storage"])]
KeyReference = Annotated[
    str,
    Field(
        pattern=r"^openbao://[A-Za-z0-9/_.-]+(#[A-Za-z0-9_.-]+)?$", examples=["openbao://kv-seg/a-b/ppk#v1"]
    ),
]
Seconds = Positive


class SegmentEndpoint(Entry):
    """One end of a segment."""

    site: Slug
    host: Slug
    interface: Slug
    address: Interface


class Layer2(Entry):
    """How the segment is carried."""

    encapsulation: Literal["none", "vlan", "vxlan", "geneve"]
    outer_family: Literal["ipv4", "ipv6"] = "ipv4"
    vlan: Vlan | None = None
    vni: Annotated[int, Field(ge=1, le=16_777_215, strict=True)] | None = None


class SegmentMtu(Entry):
    """Largest packet of the client and of the network below."""

    client: Mtu
    underlay: Mtu


class OpticalCrypto(Entry):
    """What the optical equipment encrypts with."""

    cipher: Text = Field(examples=["AES-256-GCM"])
    key_source: Literal["ike-psk", "x509", "qkd-014"]
    rekey_s: Seconds
    headless_max_s: Seconds = Field(description="How long it goes on without its key source")


class OpticalManagement(Entry):
    """How the optical equipment is managed: never through the segment itself."""

    protocol: Literal["netconf", "gnmi", "restconf"]
    network: Slug
    tls_min: Literal["1.2", "1.3"]


class Optical(Entry):
    """Encryption contracted at the optical layer."""

    span: Slug
    client_port: Text
    odu: Text
    channel_ghz: Positive
    crypto: OpticalCrypto
    management: OpticalManagement
    attested_by: Literal["measured", "declared", "telemetry"]
    protects: SegmentId | None = Field(None, description="The other segment of a protected pair")


class Ppk(Entry):
    """Post-quantum preshared key (RFC 8784)."""

    required: Bool
    source: Literal["openbao", "qkd-014"]


class Ipsec(Entry):
    """IPsec between the hosts."""

    type: Literal["ipsec"]
    mode: Literal["tunnel", "transport"] = "tunnel"
    ike: Text
    esp: Text
    ike_rekey_s: Seconds
    child_life_s: Seconds
    auth: Literal["x509", "psk"]
    ppk: Ppk | None = None


class Macsec(Entry):
    """MACsec between the hosts (IEEE 802.1AE)."""

    type: Literal["macsec"]
    cipher: Text
    keying: Literal["static-sak", "mka"]
    must_secure: Bool
    replay_window: Annotated[int, Field(ge=0, le=4_294_967_295, strict=True)]
    sak_life_s: Seconds
    confidentiality_offset: Literal[0, 30, 50] = 0
    icv_bytes: Annotated[int, Field(ge=8, le=16, strict=True)] = 16


class Wireguard(Entry):
    """WireGuard between the hosts."""

    type: Literal["wireguard"]
    psk_rotation_s: Seconds


Layer = Annotated[Ipsec | Macsec | Wireguard, Field(discriminator="type")]


class SegmentKey(Entry):
    """A key of the segment, by reference."""

    role: Slug
    ref: KeyReference
    bits: Positive
    created: Moment
    max_age_s: Seconds
    custodian: Literal["crypto-officer"]


class Kme(Entry):
    """Key management entities of a QKD link (ETSI GS QKD 014)."""

    local: Slug
    peer: Slug
    sae: Slug
    peer_sae: Slug
    mtls: KeyReference
    min_stored_keys: Positive


class Segment(Entry):
    """One encrypted segment."""

    id: SegmentId
    scope: Literal["intra-rack", "intra-site", "inter-site"]
    classification: Literal["public", "internal", "restricted", "diffusion-restreinte"] = Field(alias="class")
    endpoints: tuple[SegmentEndpoint, ...] = Field(min_length=2)
    l2: Layer2
    mtu: SegmentMtu
    optical: Optical | None
    layers: tuple[Layer, ...] = ()
    keys: tuple[SegmentKey, ...] = ()
    kme: Kme | None = None
    on_failure: Literal["block", "pass"]


class Link(Entry):
    """The link between the site and a collectivity."""

    kind: Literal["optical", "ipsec", "wireguard"]
    segment: SegmentId | None = Field(
        None, description="The segment that carries it, when the kit configures it"
    )
    prefixes: tuple[Text, ...] = Field((), description="Prefixes behind the link")


class Segments(Entry):
    """Segments of the site, and links to the collectivities by id."""

    segments: tuple[Segment, ...] = ()
    links: dict[Slug, Link] = Field(default_factory=dict)
