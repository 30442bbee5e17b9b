"""The invariants I1 to I7, I9, I10 and I12 of network segments, as far as the files alone can say.

What only a running site can show is judged by the audit: the age of keys (I6), that nothing in clear leaves
(I8, I9), that rotation has two phases (I11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

from socle.site.checks.segments import segment_fault
from socle.site.document import Fault
from socle.site.parts import Part
from socle.site.segments import Ipsec, Macsec, Segment, Segments, Wireguard
from socle.site.waivers import Waiver

ENCAPSULATION = {
    ("none", "ipv4"): 0,
    ("none", "ipv6"): 0,
    ("vlan", "ipv4"): 4,
    ("vlan", "ipv6"): 4,
    ("vxlan", "ipv4"): 50,
    ("vxlan", "ipv6"): 70,
    ("geneve", "ipv4"): 58,
    ("geneve", "ipv6"): 78,
}
IPSEC_TUNNEL = {"ipv4": 65, "ipv6": 85}
IPSEC_TRANSPORT = 38
WIREGUARD = {"ipv4": 60, "ipv6": 80}
MACSEC = 32
DH_GROUPS = {
    "ecp256": 19,
    "ecp384": 20,
    "ecp521": 21,
    "ecp256bp": 28,
    "ecp384bp": 29,
    "ecp512bp": 30,
    "modp3072": 15,
    "modp4096": 16,
    "modp6144": 17,
    "modp8192": 18,
    "curve25519": 31,
    "x25519": 31,
}
IKE_MAX_S = 86_400
CHILD_MAX_S = 21_600
HEADLESS_MAX_S = 14 * 86_400
KEY_AGE_MAX_S = 31 * 86_400
PSK_MIN_BITS = 256
FULL_TAG = 16
EXAMPLES = {"ike": "aes256gcm16-prfsha384-ecp384", "esp": "aes256gcm16-ecp384"}
SENSITIVE = {"restricted", "diffusion-restreinte"}

type Waivers = dict[str, Part[Waiver]]


def i1_encryption_is_attested(segments: Part[Segments]) -> Iterator[Fault]:
    """I1: between sites, a layer whose encryption is attested; what a carrier declares is not."""
    for index, segment in enumerate(segments.value.segments):
        optical = segment.optical is not None and segment.optical.attested_by != "declared"
        if segment.scope == "inter-site" and not segment.layers and not optical:
            yield segment_fault(
                segments,
                index,
                "layers",
                what=f"I1: nothing attests that `{segment.id}` is encrypted between sites",
                expected="a host layer, or optical encryption seen by telemetry",
                write="write for example a layer `{type: ipsec, …}`",
            )


def i2_hosts_encrypt_too(segments: Part[Segments]) -> Iterator[Fault]:
    """I2: restricted data between sites has a layer whose keys the carrier never sees."""
    for index, segment in enumerate(segments.value.segments):
        if segment.scope == "inter-site" and segment.classification in SENSITIVE and not segment.layers:
            yield segment_fault(
                segments,
                index,
                "layers",
                what=f"I2: `{segment.id}` is {segment.classification} and no host encrypts it",
                expected="a layer of the hosts, even over encrypted optics",
                write="add a layer",
            )


def overhead(segment: Segment) -> int:
    """Bytes that encapsulation and layers add (I3)."""
    family = segment.l2.outer_family
    total = ENCAPSULATION[segment.l2.encapsulation, family]
    for layer in segment.layers:
        if isinstance(layer, Ipsec):
            total += IPSEC_TUNNEL[family] if layer.mode == "tunnel" else IPSEC_TRANSPORT
        elif isinstance(layer, Wireguard):
            total += WIREGUARD[family]
        else:
            total += MACSEC
    return total


def i3_packets_fit(segments: Part[Segments]) -> Iterator[Fault]:
    """I3: the network below carries the client's packet with everything around it."""
    for index, segment in enumerate(segments.value.segments):
        needed = segment.mtu.client + overhead(segment)
        if segment.mtu.underlay < needed:
            yield segment_fault(
                segments,
                index,
                "mtu",
                what=f"I3: `{segment.id}` needs {needed} bytes, its underlay carries {segment.mtu.underlay}",
                expected=f"underlay ≥ client {segment.mtu.client} + overhead {overhead(segment)}",
                write=f"write `underlay: {needed}` or a smaller `client`",
            )


def i4_ciphers_are_allowed(segments: Part[Segments], waivers: Waivers) -> Iterator[Fault]:
    """I4: AES-256-GCM everywhere; AES-128-GCM only by a waiver that runs today."""
    for index, segment in enumerate(segments.value.segments):
        waived = _waived(waivers, "I4", segment.id)
        for loc, cipher in _ciphers(segment):
            if not _allowed(cipher, waived):
                yield segment_fault(
                    segments,
                    index,
                    *loc,
                    what=f"I4: `{cipher}` in `{segment.id}`",
                    expected="AES-256-GCM with a tag of 16 bytes (AES-128-GCM by a waiver in derogations/)",
                    write="write for example `aes256gcm16-ecp384` (IPsec) or `gcm-aes-256` (MACsec)",
                )
        for number, layer in enumerate(segment.layers):
            if isinstance(layer, Macsec) and (layer.confidentiality_offset or layer.icv_bytes != FULL_TAG):
                yield segment_fault(
                    segments,
                    index,
                    "layers",
                    number,
                    what=f"I4: MACsec of `{segment.id}` leaves bytes in clear or shortens the tag",
                    expected="confidentiality_offset: 0 and icv_bytes: 16",
                )


def _ciphers(segment: Segment) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if segment.optical:
        yield ("optical", "crypto", "cipher"), segment.optical.crypto.cipher
    for number, layer in enumerate(segment.layers):
        if isinstance(layer, Ipsec):
            yield ("layers", number, "ike"), layer.ike
            yield ("layers", number, "esp"), layer.esp
        elif isinstance(layer, Macsec):
            yield ("layers", number, "cipher"), layer.cipher


def _allowed(cipher: str, waived: bool) -> bool:
    bits = "(256|128)" if waived else "256"
    aead = cipher.lower().split("-prf")[0]
    return (
        re.match(
            rf"(aes-?{bits}-?gcm(16)?|gcm-aes-{bits}|gcm-aes-xpn-{bits})(-(ecp|modp|curve|x2).*)?\Z", aead
        )
        is not None
    )


def _waived(waivers: Waivers, rule: str, segment: str) -> bool:
    today = datetime.now(UTC).date()
    return any(_runs(part.value, rule, segment, today) for part in waivers.values())


def _runs(waiver: Waiver, rule: str, segment: str, today: date) -> bool:
    return waiver.rule == rule and segment in waiver.applies_to and waiver.start <= today <= waiver.end


def i5_key_exchange_is_strong(segments: Part[Segments]) -> Iterator[Fault]:
    """I5: a Diffie-Hellman group of the list; a preshared key has 256 bits and a PPK beside it."""
    for index, segment in enumerate(segments.value.segments):
        for number, layer in enumerate(segment.layers):
            if not isinstance(layer, Ipsec):
                continue
            for key in ("ike", "esp"):
                suite = getattr(layer, key)
                if not set(suite.lower().split("-")) & DH_GROUPS.keys():
                    yield segment_fault(
                        segments,
                        index,
                        "layers",
                        number,
                        key,
                        what=f"I5: no allowed Diffie-Hellman group in `{suite}`",
                        expected=f"one of {', '.join(DH_GROUPS)}",
                        write=f"write for example `{EXAMPLES[key]}`",
                    )
            if layer.auth == "psk" and not _strong_psk(segment, layer):
                yield segment_fault(
                    segments,
                    index,
                    "layers",
                    number,
                    "auth",
                    what=f"I5: `{segment.id}` relies on a preshared key alone",
                    expected="x509, or a `psk` key of at least 256 bits with `ppk: {required: true}`",
                    write="write `auth: x509`",
                )


def _strong_psk(segment: Segment, layer: Ipsec) -> bool:
    long = any(key.role == "psk" and key.bits >= PSK_MIN_BITS for key in segment.keys)
    return long and layer.ppk is not None and layer.ppk.required


def i6_lifetimes_are_short(segments: Part[Segments]) -> Iterator[Fault]:
    """I6: caps on lifetimes; a key created in the future is a mistake."""
    for index, segment in enumerate(segments.value.segments):
        for loc, seconds, most in _lifetimes(segment):
            if seconds > most:
                yield segment_fault(
                    segments,
                    index,
                    *loc,
                    what=f"I6: `{loc[-1]}` of `{segment.id}` is {seconds} s",
                    expected=f"at most {most} s",
                    write=f"write `{loc[-1]}: {most}` or less",
                )
        for number, key in enumerate(segment.keys):
            if key.created > datetime.now(UTC):
                yield segment_fault(
                    segments,
                    index,
                    "keys",
                    number,
                    "created",
                    what=f"I6: a key of `{segment.id}` is created in the future",
                    expected="the moment of its creation",
                    write="correct the date",
                )


def _lifetimes(segment: Segment) -> Iterator[tuple[tuple[str | int, ...], int, int]]:
    for number, layer in enumerate(segment.layers):
        at = ("layers", number)
        if isinstance(layer, Ipsec):
            yield (*at, "ike_rekey_s"), layer.ike_rekey_s, IKE_MAX_S
            yield (*at, "child_life_s"), layer.child_life_s, CHILD_MAX_S
        elif isinstance(layer, Macsec):
            yield (*at, "sak_life_s"), layer.sak_life_s, CHILD_MAX_S
    if segment.optical:
        crypto = segment.optical.crypto
        yield ("optical", "crypto", "rekey_s"), crypto.rekey_s, CHILD_MAX_S
        yield ("optical", "crypto", "headless_max_s"), crypto.headless_max_s, HEADLESS_MAX_S
    for number, key in enumerate(segment.keys):
        yield ("keys", number, "max_age_s"), key.max_age_s, KEY_AGE_MAX_S


def i7_keys_are_not_shared(segments: Part[Segments]) -> Iterator[Fault]:
    """I7: a key belongs to one role of one segment, whatever its version."""
    owners: dict[str, str] = {}
    for index, segment in enumerate(segments.value.segments):
        for number, key in enumerate(segment.keys):
            path, me = key.ref.split("#")[0], f"{segment.id}/{key.role}"
            owner = owners.setdefault(path, me)
            if owner != me:
                yield segment_fault(
                    segments,
                    index,
                    "keys",
                    number,
                    "ref",
                    what=f"I7: `{path}` of `{me}` is already the key of `{owner}`",
                    expected="a path for each segment and role",
                    write=f"write for example `openbao://kv-seg/{segment.id}/{key.role}#v1`",
                )


def i9_failure_blocks(segments: Part[Segments]) -> Iterator[Fault]:
    """I9, the part that is written: without its layers nothing passes, except inside a rack."""
    for index, segment in enumerate(segments.value.segments):
        if segment.on_failure != "block" and segment.scope != "intra-rack":
            yield segment_fault(
                segments,
                index,
                "on_failure",
                what=f"I9: `{segment.id}` goes on in clear when its encryption fails",
                expected="block",
                write="write `on_failure: block`",
            )
        for number, layer in enumerate(segment.layers):
            if isinstance(layer, Macsec) and not layer.must_secure:
                yield segment_fault(
                    segments,
                    index,
                    "layers",
                    number,
                    "must_secure",
                    what=f"I9: MACsec of `{segment.id}` lets frames in clear through",
                    expected="true",
                    write="write `must_secure: true`",
                )


def i10_management_is_elsewhere(segments: Part[Segments]) -> Iterator[Fault]:
    """I10: optical equipment is not managed through the segment that it carries."""
    for index, segment in enumerate(segments.value.segments):
        if segment.optical and segment.optical.management.network == segment.id:
            yield segment_fault(
                segments,
                index,
                "optical",
                "management",
                "network",
                what=f"I10: `{segment.id}` is managed through itself",
                expected="an out-of-band network",
                write="write for example `network: oob-dc1`",
            )


def i12_paths_are_diverse(segments: Part[Segments]) -> Iterator[Fault]:
    """I12: a protected pair uses two spans; a wavelength of a span carries one segment."""
    by_id = {segment.id: segment for segment in segments.value.segments}
    channels: dict[tuple[str, int], str] = {}
    for index, segment in enumerate(segments.value.segments):
        optical = segment.optical
        if optical is None:
            continue
        owner = channels.setdefault((optical.span, optical.channel_ghz), segment.id)
        if owner != segment.id:
            yield segment_fault(
                segments,
                index,
                "optical",
                "channel_ghz",
                what=f"I12: channel {optical.channel_ghz} of `{optical.span}` already carries `{owner}`",
                expected="one segment for each wavelength",
                write="write another channel",
            )
        pair = by_id.get(optical.protects) if optical.protects else None
        if optical.protects and (pair is None or pair.optical is None or pair.optical.span == optical.span):
            yield segment_fault(
                segments,
                index,
                "optical",
                "protects",
                what=f"I12: `{segment.id}` does not protect `{optical.protects}` on another span",
                expected="an optical segment on a second span",
                write="correct `span` or `protects`",
            )


CHECKS = (
    i1_encryption_is_attested,
    i2_hosts_encrypt_too,
    i3_packets_fit,
    i4_ciphers_are_allowed,
    i5_key_exchange_is_strong,
    i6_lifetimes_are_short,
    i7_keys_are_not_shared,
    i9_failure_blocks,
    i10_management_is_elsewhere,
    i12_paths_are_diverse,
)
