"""What public APIs and Horizon say to somebody who is not logged in."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from socle import catalogue, vault
from socle.audit.collect.collector import Collector, FactKind
from socle.audit.collect.network_listeners import fronts
from socle.audit.model import Fact
from socle.site import Site

PUBLIC, PORTAL, FILTER = "web.public", "web.portal", "web.filter"
SECONDS: Final = 10.0
AT_ONCE: Final = 8
LONGEST: Final = 1 << 20
PROTECTED: Final = {
    "keystone.api": "/v3/users",
    "placement.api": "/resource_providers",
    "glance.api": "/v2/images",
    "nova.api": "/v2.1/servers",
    "neutron.api": "/v2.0/networks",
    "cinder.api": "/v3/volumes",
    "barbican.api": "/v1/secrets",
    "horizon.web": "/project/",
}
"""A path of each service that wants a login; what has none shows nothing without a token."""
ATTACK: Final = "/?id=1%27%20OR%20%271%27=%271&q=%3Cscript%3Ealert(1)%3C/script%3E&f=../../../../etc/passwd"
"""What every set of rules of a web application firewall knows: injection, script, path traversal."""
HEADERS: Final = (
    "server",
    "x-powered-by",
    "strict-transport-security",
    "x-frame-options",
    "x-content-type-options",
    "content-security-policy",
    "referrer-policy",
    "content-language",
    "location",
)
type Answer = dict[str, Any]


def public(site: Site) -> dict[str, tuple[str, str, int]]:
    """Public front ends: subject → service, name, port."""
    return {
        place["subject"]: (place["subject"].partition("@")[0], place["name"], place["port"])
        for place in fronts(site)
        if place["zone"] == "api"
    }


def of_public(site: Site) -> tuple[str, ...]:
    """The public front ends."""
    return tuple(public(site))


def of_portal(site: Site) -> tuple[str, ...]:
    """Horizon, where it is published."""
    return tuple(subject for subject in public(site) if subject.startswith("horizon."))


class Asker:
    """Requests without a login, to the shared address whatever the names resolve to here."""

    def __init__(self, site: Site) -> None:
        self.address = str(site.endpoints.public.address)
        root = vault.place_of(site, catalogue.load()).ca_file
        self.context = ssl.create_default_context(cafile=str(root))

    def get(self, name: str, port: int, path: str, headers: dict[str, str] | None = None) -> Answer:
        """Status, the headers that matter, cookies, and the beginning of the body.

        Raises:
            OSError, http.client.HTTPException: no answer over TLS.
        """
        connection = _Connection(self.address, name, port, self.context)
        try:
            connection.request(
                "GET", path, headers={"Host": f"{name}:{port}", "Connection": "close", **(headers or {})}
            )
            answer = connection.getresponse()
            body = answer.read(LONGEST).decode("utf-8", "replace")
        finally:
            connection.close()
        held = {key.lower(): value for key, value in answer.getheaders() if key.lower() in HEADERS}
        return {
            "status": answer.status,
            "headers": held,
            "cookies": [_cookie(value) for key, value in answer.getheaders() if key.lower() == "set-cookie"],
            "body": body,
        }


class _Connection(http.client.HTTPSConnection):
    """HTTPS to an address, with the certificate of a name."""

    def __init__(self, address: str, name: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=SECONDS, context=context)
        self._name, self._tls = name, context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def _cookie(value: str) -> dict[str, Any]:
    """A cookie's name and its flags, not what it holds."""
    name, *flags = [part.strip() for part in value.split(";")]
    words = {flag.partition("=")[0].lower(): flag.partition("=")[2] for flag in flags}
    return {
        "name": name.partition("=")[0],
        "secure": "secure" in words,
        "http_only": "httponly" in words,
        "same_site": words.get("samesite"),
    }


def kind_of(answer: Answer) -> str:
    """What a body is: ``versions`` (discovery), ``login``, ``empty``, ``refusal`` or ``other``."""
    body = answer["body"].strip()
    if not body:
        return "empty"
    if answer["status"] >= http.HTTPStatus.BAD_REQUEST:
        return "refusal"
    try:
        said = json.loads(body)
    except ValueError:
        return "login" if re.search(r'<input[^>]+type="password"', body) else "other"
    return "versions" if isinstance(said, dict) and said.keys() <= {"versions", "version"} else "other"


def _read(site: Site) -> Iterator[Fact]:
    asker, ends = Asker(site), public(site)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda subject: _public(asker, subject, *ends[subject]), ends)
    for subject in of_portal(site):
        yield _told(PORTAL, subject, lambda: portal(asker, *ends[subject][1:]))  # noqa: B023 - called at once


def _public(asker: Asker, subject: str, service: str, name: str, port: int) -> Fact:
    def asked() -> dict[str, Any]:
        root = asker.get(name, port, "/")
        closed = asker.get(name, port, PROTECTED[service]) if service in PROTECTED else None
        return {
            "root": root["status"],
            "root_kind": kind_of(root),
            "protected": closed["status"] if closed else None,
            "protected_kind": kind_of(closed) if closed else None,
            "to_login": bool(closed and "/auth/login" in closed["headers"].get("location", "")),
            "server": root["headers"].get("server"),
            "powered_by": root["headers"].get("x-powered-by"),
            "content_type_options": root["headers"].get("x-content-type-options"),
            "hsts_seconds": _seconds(root["headers"].get("strict-transport-security", "")),
        }

    return _told(PUBLIC, subject, asked)


def _seconds(header: str) -> int:
    found = re.search(r"max-age=(\d+)", header)
    return int(found.group(1)) if found else 0


def portal(asker: Asker, name: str, port: int) -> dict[str, Any]:
    """Horizon's page of login, asked for in French, in English, and in no language."""
    path = "/auth/login/"
    french = asker.get(name, port, path, {"Accept-Language": "fr"})
    english = asker.get(name, port, path, {"Accept-Language": "en"})
    plain = asker.get(name, port, path)
    return {
        "status": french["status"],
        "french": language(french),
        "english": language(english),
        "default": language(plain),
        "says_french": "Se connecter" in french["body"] or "Mot de passe" in french["body"],
        "headers": {key: value for key, value in french["headers"].items() if key != "location"},
        "cookies": sorted(french["cookies"], key=lambda cookie: str(cookie["name"])),
    }


def language(answer: Answer) -> str | None:
    """The language that a page names."""
    found = re.search(r'<html[^>]*\slang="([\w-]+)"', answer["body"])
    return found.group(1) if found else None


def _told(name: str, subject: str, asked: Any) -> Fact:
    try:
        return Fact(name=name, subject=subject, value=asked())
    except (OSError, http.client.HTTPException) as error:
        return Fact(
            name=name, subject=subject, problem=f"pas de réponse en HTTPS ({type(error).__name__} : {error})"
        )


def _read_filter(site: Site) -> Iterator[Fact]:
    asker = Asker(site)
    for subject, (_service, name, port) in public(site).items():
        yield _told(FILTER, subject, lambda: _attacked(asker, name, port))  # noqa: B023 - called at once


def _attacked(asker: Asker, name: str, port: int) -> dict[str, Any]:
    usual, attacked = (asker.get(name, port, path)["status"] for path in ("/", ATTACK))
    return {"usual": usual, "attacked": attacked, "blocked": attacked in (403, 406) and usual != attacked}


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="web",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(PUBLIC, of_public, "Ce que chaque API publique répond sans connexion"),
            FactKind(PORTAL, of_portal, "La page de connexion d’Horizon : langue, en-têtes, cookies"),
        ),
        read=_read,
        permission="aucune connexion : des requêtes anonymes",
    ),
    Collector(
        name="web filter",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(FILTER, of_public, "Ce qu’une requête d’attaque connue reçoit de chaque API publique"),
        ),
        read=_read_filter,
        permission="aucune connexion : une requête anonyme, sans effet",
    ),
)
