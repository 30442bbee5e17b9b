"""One request to OpenBao as the environment says (``BAO_ADDR``, ``BAO_TOKEN``, ``BAO_CACERT``).

For Ansible's look-ups, which run in a new process for each task: the standard library loads in no time,
hvac does not.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from socle.errors import ExitCode, SocleError

SECONDS = 20
VARIABLES = ("BAO_ADDR", "BAO_TOKEN", "BAO_CACERT")
BEFORE = "SOCLE_PLAN_WITHOUT_VAULT"
"""Set while a plan is made before the first deployment: there is no OpenBao yet."""
PLACEHOLDER = "secret-made-at-the-first-deployment"
"""What every secret reads like then."""


@cache
def read(path: str) -> dict[str, Any]:
    """What a path holds, empty when nothing; asked once in the life of a process.

    Raises:
        SocleError: as ``request``.
    """
    return request("GET", path)


def service_secrets(term: str, *suffixes: str) -> dict[str, Any]:
    """What a component keeps in OpenBao, where a secret of it is wanted.

    Args:
        term: ``<component>/<name>``.
        suffixes: the secret is several values, ``<name><suffix>`` each; one, ``<name>``, when there are none.

    Raises:
        SocleError: a value is not there; or as ``request``.
    """
    component, slash, name = term.partition("/")
    if not slash:
        raise SocleError("is no secret", where=term, expected="<component>/<name>")
    wanted = [f"{name}{suffix}" for suffix in suffixes or ("",)]
    if os.environ.get(BEFORE):
        return dict.fromkeys(wanted, PLACEHOLDER)
    answer = read(f"kv/data/services/{component}")
    values: dict[str, Any] = answer["data"]["data"] if answer else {}
    if not all(key in values for key in wanted):
        raise SocleError(
            "is not in OpenBao", where=term, write="name it in the catalogue and run `socle deploy`"
        )
    return values


def request(
    method: str, path: str, wrap_ttl: str | None = None, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The answer to a request, empty when the path holds nothing.

    Args:
        wrap_ttl: leave the answer in OpenBao and get a token that opens it once, within this time.

    Raises:
        SocleError: the environment is not set, OpenBao does not answer, or refuses.
    """
    connection = _connection()
    headers = {"X-Vault-Token": os.environ["BAO_TOKEN"], "X-Vault-Request": "true", "Connection": "close"}
    if wrap_ttl:
        headers["X-Vault-Wrap-TTL"] = wrap_ttl
    try:
        content = json.dumps(body) if body is not None else None
        connection.request(method, f"/v1/{path}", content, headers)
        response = connection.getresponse()
        answer = dict(json.loads(response.read() or b"{}"))
    except (OSError, http.client.HTTPException) as error:
        where = os.environ["BAO_ADDR"]
        raise SocleError(
            f"OpenBao does not answer: {error}", where=where, exit_code=ExitCode.UNREACHABLE
        ) from error
    finally:
        connection.close()
    if response.status == http.client.NOT_FOUND:
        return {}
    if response.status >= http.client.BAD_REQUEST:
        reason = "; ".join(answer.get("errors", [])) or f"status {response.status}"
        raise SocleError(f"refused: {reason}", where=f"OpenBao {path}")
    return answer


def _connection() -> http.client.HTTPSConnection:
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise SocleError(
            f"{', '.join(missing)} not in the environment",
            write="run playbooks with `socle deploy`",
            exit_code=ExitCode.PREREQUISITE,
        )
    parts = urlsplit(os.environ["BAO_ADDR"])
    context = ssl.create_default_context(cafile=os.environ["BAO_CACERT"])
    return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=SECONDS, context=context)
