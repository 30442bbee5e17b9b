"""One reading of a list of an API, page by page, and what went wrong with it in French."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from keystoneauth1.exceptions import ClientException, ConnectFailure, HttpError

PAGE = 1000
UNKNOWN = "?"


class NotRead(Exception):  # noqa: N818 - it becomes the problem of a fact
    """Why an API did not give what was asked of it, in French."""


class Reader:
    """The cloud through one session; ``projects`` turns ids into ``domain/name``.

    Args:
        connection: of openstacksdk, as the account that audits.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.projects: dict[str, str] = {}

    def one(self, service: str, path: str, version: str | None = None) -> Mapping[str, Any]:
        """One answer of an API.

        Raises:
            NotRead: the API does not answer, refuses, or says something that is no JSON object.
        """
        proxy = getattr(self.connection, service)
        try:
            answer = proxy.get(path, microversion=version, raise_exc=False)
        except HttpError as error:
            raise NotRead(f"{error.http_status} : {service} {_place(path)}") from error
        except ConnectFailure as error:
            raise NotRead(f"{service} ne répond pas ({type(error).__name__})") from error
        except ClientException as error:
            raise NotRead(f"{service} : {type(error).__name__}") from error
        if not answer.ok:
            why = {401: "non authentifié", 403: "interdit", 404: "introuvable"}.get(
                answer.status_code, "erreur"
            )
            raise NotRead(f"{answer.status_code} : {why} ({service} {_place(path)})")
        try:
            found = answer.json()
        except ValueError as error:
            raise NotRead(f"{service} {_place(path)} : réponse illisible") from error
        if not isinstance(found, dict):
            raise NotRead(f"{service} {_place(path)} : réponse inattendue")
        return found

    def every(
        self, service: str, path: str, key: str, version: str | None = None, **asked: Any
    ) -> Iterator[Mapping[str, Any]]:
        """All items of a list, following the links to its next pages.

        Raises:
            NotRead: as ``one``; there is no such list in the answer, the API cut it short, or its pages go in
                a circle.
        """
        query = urlencode(asked)
        place = f"{path}?{query}" if query else path
        seen: set[str] = set()
        while True:
            if place in seen:
                raise NotRead(f"{service} {_place(path)} : la page suivante est une page déjà lue")
            seen.add(place)
            answer = self.one(service, place, version)
            items = answer.get(key)
            if not isinstance(items, list):
                raise NotRead(f"{service} {_place(path)} : pas de liste {key} dans la réponse")
            if answer.get("truncated"):
                raise NotRead(f"{service} {_place(path)} : liste tronquée par l’API")
            yield from items
            following = _next(answer, key)
            if not following or not items:
                return
            place = f"{path}?{urlsplit(following).query}"

    def project(self, identifier: str | None) -> str:
        """A project as ``domain/name``; one that does not exist any more by a part of its id."""
        if not identifier:
            return UNKNOWN
        # Nova and Neutron write ids without dashes, as Keystone does.
        return self.projects.get(identifier, f"{UNKNOWN}{identifier[:8]}")


def _next(answer: Mapping[str, Any], key: str) -> str | None:
    """The link to the next page, in the three forms that the APIs have for it."""
    for link in answer.get(f"{key}_links") or ():
        if link.get("rel") == "next":
            return str(link["href"])
    links = answer.get("links")
    if isinstance(links, dict) and links.get("next"):
        return str(links["next"])
    return str(answer["next"]) if answer.get("next") else None


def _place(path: str) -> str:
    return path.partition("?")[0]
