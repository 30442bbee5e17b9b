"""The site's authorities: a root that signs intermediates only, and the intermediate of the services."""

from __future__ import annotations

from typing import Any

from socle import durable
from socle.vault.mounts import PKI_ROOT, PKI_SERVICES
from socle.vault.place import Place
from socle.vault.policies import pki_role

ROOT_TTL = "87600h"  # 10 years
SERVICES_TTL = "43800h"  # 5 years
CURVE = {"key_type": "ec", "key_bits": 384}


def configure(speaker: Any, place: Place) -> None:
    """Make the authorities that are missing, set the hosts' roles, keep the root in the state folder."""
    ensure_root(speaker, place)
    ensure_services(speaker, place)
    for host in place.hosts:
        speaker.write_data(f"{PKI_SERVICES}/roles/{host.role}", data=pki_role(host))
    root = certificate(speaker, PKI_ROOT)
    if not place.ca_file.exists() or place.ca_file.read_text(encoding="ascii") != root:
        durable.write(place.ca_file, root)
        place.ca_file.chmod(0o644)


def ensure_root(speaker: Any, place: Place) -> None:
    """The root: EC P-384, ten years, one level of authorities below it (RFC 5280 4.2.1.9)."""
    if not _issuers(speaker, PKI_ROOT):
        data = {"common_name": f"{place.title} root CA", "ttl": ROOT_TTL, "max_path_length": 1, **CURVE}
        speaker.write_data(f"{PKI_ROOT}/root/generate/internal", data=data)


def ensure_services(speaker: Any, place: Place) -> None:
    """The intermediate that signs the services' certificates; no authority may stand below it.

    A kill between its steps leaves a key that signs nothing; the next call makes another.
    """
    if _issuers(speaker, PKI_SERVICES):
        return
    name = {"common_name": f"{place.title} services CA"}
    request = speaker.write_data(f"{PKI_SERVICES}/intermediate/generate/internal", data={**name, **CURVE})
    signed = speaker.write_data(
        f"{PKI_ROOT}/root/sign-intermediate",
        data={**name, "csr": request["data"]["csr"], "ttl": SERVICES_TTL, "max_path_length": 0},
    )
    chain = f"{signed['data']['certificate']}\n{signed['data']['issuing_ca']}\n"
    speaker.write_data(f"{PKI_SERVICES}/intermediate/set-signed", data={"certificate": chain})


def certificate(speaker: Any, mount: str) -> str:
    """The certificate of an authority, in PEM."""
    answer = speaker.read(f"{mount}/cert/ca")
    return str(answer["data"]["certificate"]).strip() + "\n"


def _issuers(speaker: Any, mount: str) -> list[str]:
    """Authorities of a mount that have a certificate."""
    listed = speaker.list(f"{mount}/issuers")
    return list(listed["data"]["keys"]) if listed else []
