"""One request to OpenBao: checked TLS, a time limit, errors that never hold what was sent or answered."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

BAD_REQUEST, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 400, 403, 404, 500
MAX_ANSWER = 1 << 20


class OpenBaoError(Exception):
    """OpenBao did not do what it was asked; the text says which path and why, and no secret."""


class UnavailableError(OpenBaoError):
    """No node of OpenBao answers, or it is sealed."""


class RefusedError(OpenBaoError):
    """OpenBao answered that it will not; ``status`` is that of HTTP, ``errors`` its own words."""

    def __init__(self, path: str, status: int, errors: tuple[str, ...]) -> None:
        super().__init__(f"OpenBao refuses {path}: {'; '.join(errors) or f'HTTP status {status}'}")
        self.status, self.errors = status, errors


def ask(
    addresses: tuple[str, ...],
    path: str,
    body: Mapping[str, Any] | None,
    *,
    trust: ssl.SSLContext,
    token: str | None = None,
    timeout: float,
) -> dict[str, Any]:
    """Ask the first node that answers and is not sealed.

    Args:
        addresses: ``https://host:port`` of each node.
        path: below ``/v1/``.
        body: what to POST; None reads the path.
        timeout: seconds that each node has to answer.

    Raises:
        UnavailableError: none does.
        RefusedError: one answered with an error that another node would give as well.
    """
    headers = {"Content-Type": "application/json", "X-Vault-Request": "true"}
    if token:
        headers["X-Vault-Token"] = token
    sent = None if body is None else json.dumps(body).encode()
    told = []
    for address in addresses:
        try:
            link = _link(address, trust, timeout)
            status, answer = _ask(link, path, sent, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            told.append(f"{address}: {_why(error)}")
            continue
        if status < BAD_REQUEST:
            return answer
        errors = tuple(" ".join(str(line).split()) for line in answer.get("errors") or ())
        if status < SERVER_ERROR:
            raise RefusedError(path, status, errors)
        told.append(f"{address}: {'; '.join(errors) or f'HTTP status {status}'}")
    raise UnavailableError(f"OpenBao does not answer: {', '.join(told) or 'no address is configured'}")


def _link(address: str, trust: ssl.SSLContext, timeout: float) -> http.client.HTTPSConnection:
    place = urlsplit(address)
    if place.scheme != "https" or not place.hostname:
        raise ValueError("is no https address")
    return http.client.HTTPSConnection(place.hostname, place.port, timeout=timeout, context=trust)


def _ask(
    link: http.client.HTTPSConnection, path: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    try:
        link.request("GET" if body is None else "POST", f"/v1/{path}", body, dict(headers))
        answer = link.getresponse()
        text = answer.read(MAX_ANSWER)
    finally:
        link.close()
    decoded = json.loads(text) if text else {}
    return answer.status, decoded if isinstance(decoded, dict) else {}


def _why(error: Exception) -> str:
    """What happened, without a word of what was answered."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, json.JSONDecodeError):
        return "no answer of OpenBao's"
    return str(error) if type(error) is ValueError else type(error).__name__
