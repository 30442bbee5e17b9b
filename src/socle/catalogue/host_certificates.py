"""Which certificates a host needs: read by the roles of the PKI and by the Ansible role alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HostCertificate:
    """One certificate: ``/etc/socle/tls/<name>.crt``, ``.key`` and ``.pem`` on the host."""

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
    for component, entry in components.items():
        wanted = entry.get("certificate")
        if not wanted:
            continue
        own = (f"{name}.{domain}", name)
        if wanted.get("endpoints"):
            shared = (endpoints["internal"], endpoints["public"])
            names, addresses = tuple(e["name"] for e in shared), tuple(str(e["address"]) for e in shared)
        elif component == "openbao":
            names, addresses = (*own, vault_name), (address,)
        else:
            names, addresses = own, (address,)
        file_name = "endpoints" if wanted.get("endpoints") else component
        result.append(HostCertificate(file_name, wanted["owner"], wanted["reload"], names, addresses))
    return tuple(result)
