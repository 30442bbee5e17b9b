"""Connections to OpenBao: what hvac raises becomes one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hvac
import requests
from hvac.exceptions import VaultError

from socle.errors import Cause, ExitCode, SocleError
from socle.vault.place import Place, VaultNode
from socle.vault.trust import trust_file, unreachable

SECONDS = 20


def client(place: Place, node: VaultNode, token: str | None = None) -> Any:
    """A client of one node."""
    made = hvac.Client(url=node.url, verify=str(trust_file(place)), timeout=SECONDS)
    made.token = token
    return made


@contextmanager
def plainly(place: Place) -> Iterator[None]:
    """Turn what goes wrong with OpenBao inside the block into one line for a person."""
    try:
        yield
    except requests.exceptions.RequestException as error:
        raise unreachable(place) from error
    except VaultError as error:
        reason = (
            "; ".join(str(e) for e in error.errors) if error.errors else str(error) or type(error).__name__
        )
        where = f"OpenBao {error.url}" if error.url else "OpenBao"
        sealed = "sealed" in reason.lower()
        raise SocleError(
            f"refused: {reason}",
            where=where,
            exit_code=ExitCode.UNREACHABLE if sealed else ExitCode.FAILED,
            cause=Cause.OPENBAO_SEALED if sealed else Cause.OPENBAO_REFUSES,
        ) from error
