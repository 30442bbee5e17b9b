"""How a copy of OpenBao's storage comes to the machine that keeps it, and where that machine is."""

from __future__ import annotations

import http.client
import socket
import ssl
from ipaddress import ip_address
from typing import Any, Final

from socle.audit.collect.unread import why
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.site import Site
from socle.vault.place import Place, VaultNode
from socle.vault.trust import trust_file

WAY: Final = "openbao.snapshot_way"
SECONDS: Final = 10


def way(site: Site, place: Place) -> Fact:
    """The link to OpenBao as it is negotiated now, and the place of this end of it and of the other."""
    nodes = place.nodes
    try:
        tls, own = _handshake(place, nodes[0])
        clear = _answers_in_clear(nodes[0])
    except (OSError, SocleError) as error:
        return Fact(name=WAY, subject=site.name, problem=f"le lien à OpenBao ne se lit pas : {why(error)}")
    here = _place_of(site, own)
    rooms = sorted({site.hosts[node.name].room or "" for node in nodes})
    value = {"tls": tls, "clear": clear, "address": own, "place": here, "rooms": rooms}
    return Fact(name=WAY, subject=site.name, value=value)


def _handshake(place: Place, node: VaultNode) -> tuple[str, str]:
    """The version of TLS under the site's own authority, and this machine's address on that link."""
    context = ssl.create_default_context(cafile=str(trust_file(place)))
    with (
        socket.create_connection((node.address, node.port), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=node.address) as speaking,
    ):
        return str(speaking.version()), str(speaking.getsockname()[0])


def _answers_in_clear(node: VaultNode) -> bool:
    """Whether it serves who does not speak TLS."""
    asking = http.client.HTTPConnection(node.address, node.port, timeout=SECONDS)
    try:
        asking.request("GET", "/v1/sys/seal-status")
        return asking.getresponse().status < http.client.BAD_REQUEST
    except (http.client.HTTPException, ConnectionError):
        return False
    finally:
        asking.close()


def _place_of(site: Site, address: str) -> dict[str, Any] | None:
    """The place of the site in whose prefixes an address is."""
    for name, place in sorted(site.settings.locations.items()):
        if any(ip_address(address) in prefix for prefix in place.prefixes):
            return {"name": name, "country": place.country}
    return None
