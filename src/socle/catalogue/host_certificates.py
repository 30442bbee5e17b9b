"""Which certificates a host needs: read by the roles of the PKI and by the Ansible role alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HostCertificate:
    """One certificate: in ``/etc/socle/tls/`` of the host, as role ``certificates`` tells."""

    name: str
    owner: str
    reload: str
    names: tuple[str, ...]
    """DNS names; the first is the common name."""
    addresses: tuple[str, ...]


def certificates_of(
    components: Mapping[str, Mapping[str, Any]],
    *,
    name: str,
    domain: str,
    address: str,
    endpoints: Mapping[str, Mapping[str, str]],
    vault_name: str,
) -> tuple[HostCertificate, ...]:
    """The certificates of one host.

    Args:
        components: the catalogue's entries of what runs on the host, as plain data.
        name: the host's short name.
        domain: the site's domain.
        address: the host's address in the admin zone.
        endpoints: ``internal`` and ``public``, each with ``name`` and ``address``.
        vault_name: the name that all nodes of OpenBao share.
    """
    result = []
    known: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "host": ((f"{name}.{domain}", name), (address,)),
        "vault": ((vault_name,), ()),
        **{end: ((entry["name"],), (str(entry["address"]),)) for end, entry in endpoints.items()},
    }
    for entry in components.values():
        for file_name, wanted in entry.get("certificates", {}).items():
            parts = [known[part] for part in wanted["names"]]
            names, addresses = (tuple(text for part in parts for text in part[side]) for side in (0, 1))
            result.append(HostCertificate(file_name, wanted["owner"], wanted["reload"], names, addresses))
    return tuple(result)
