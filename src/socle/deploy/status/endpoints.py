"""Every published HTTP listener of the catalogue, asked through the shared addresses over TLS."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from socle.catalogue import Catalogue, Listener
from socle.deploy.status.finding import Finding, Section, unanswered
from socle.paths import state_dir
from socle.site import Site

SECONDS = 10
AT_ONCE = 8
LABELS = {"admin": "internal", "api": "public"}


@dataclass(frozen=True)
class Published:
    """One listener at one shared address."""

    subject: str
    name: str
    address: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """As a person would type it."""
        return f"https://{self.name}:{self.port}{self.path}"


class _ByAddress(http.client.HTTPSConnection):
    """HTTPS to an address, with the name in TLS and in the request: no resolver takes part."""

    def __init__(self, published: Published, context: ssl.SSLContext) -> None:
        super().__init__(published.name, published.port, timeout=SECONDS, context=context)
        self._address = published.address
        create = self._create_connection  # type: ignore[has-type]
        self._create_connection = lambda where, *rest: create((self._address, where[1]), *rest)


def endpoint_section(site: Site, services: Catalogue) -> list[Section]:
    """Status and time of each, its certificate checked against the site's own authority."""
    authority = state_dir(site.name) / "ca.pem"
    if not authority.is_file():
        reason = f"there is no {authority} yet; run `socle deploy`"
        return [unanswered("endpoints", "End points", reason)]
    context = _context(authority)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        findings = pool.map(lambda item: _ask(item, context), list(published(site, services)))
        return [Section("endpoints", "End points", tuple(findings))]


def published(site: Site, services: Catalogue) -> Iterator[Published]:
    """What HAProxy publishes over TLS."""
    shared = {"admin": site.endpoints.internal, "api": site.endpoints.public}
    for component, entry in services.components.items():
        for name, listener in entry.listeners.items():
            for zone in _zones(listener):
                label = component if name == "api" else f"{component} {name}"
                where = shared[zone]
                port, path = listener.front_port, listener.health or "/"
                yield Published(f"{label}, {LABELS[zone]}", where.name, str(where.address), port, path)


def _zones(listener: Listener) -> tuple[str, ...]:
    front = listener.front
    return front.zones if front and front.tls and listener.protocol == "http" else ()


def _context(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


def _ask(item: Published, context: ssl.SSLContext) -> Finding:
    connection = _ByAddress(item, context)
    begun = time.monotonic()
    try:
        connection.request("GET", item.path, headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        reason = f"does not answer on {item.address}: {str(error) or type(error).__name__}"
        return Finding(item.subject, "not well", {"url": item.url}, reason)
    finally:
        connection.close()
    facts: dict[str, str | int | float] = {
        "url": item.url,
        "status": status,
        "ms": round((time.monotonic() - begun) * 1000),
    }
    if status >= http.client.BAD_REQUEST:
        return Finding(
            item.subject, "not well", facts, f"answers {status} {http.client.responses.get(status, '')}"
        )
    return Finding(item.subject, "well", facts)
