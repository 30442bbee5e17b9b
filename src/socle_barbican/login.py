"""The login of this host's Barbican to OpenBao: an AppRole, kept in a file that Barbican may read.

Run as ``python3 -m socle_barbican.login FILE CA_FILE ADDRESS…``: says whether OpenBao accepts the login. With
``--take`` first, reads a new one from standard input (JSON: ``role_id``, ``wrapping_token``, ``trust``),
opens the wrapping and keeps it. Ends with 0 when the login is good, 3 when OpenBao accepts none, 1 for
anything else.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from socle_barbican.api import OpenBaoError, RefusedError, ask

GOOD, FAILED, NO_LOGIN = 0, 1, 3
SECONDS = 10.0


class NoLoginError(RefusedError):
    """There is no login, or it cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__("auth/approle/login", 0, (f"{path}: {reason}",))


def read_login(path: str) -> dict[str, str]:
    """``role_id`` and ``secret_id``.

    Raises:
        NoLoginError: the file is not there, not readable, or not a login.
    """
    try:
        known = json.loads(Path(path).read_text(encoding="ascii"))
        return {name: str(known[name]) for name in ("role_id", "secret_id")}
    except OSError as error:
        raise NoLoginError(path, error.strerror or "cannot be read") from None
    except (ValueError, KeyError, TypeError):
        raise NoLoginError(path, "is no login") from None


def check(file: str, ca_file: str, addresses: tuple[str, ...]) -> None:
    """Log in and give the token back at once.

    Raises:
        RefusedError: OpenBao does not accept the login.
        UnavailableError: it does not answer.
    """
    trust = ssl.create_default_context(cafile=ca_file)
    answer = ask(addresses, "auth/approle/login", read_login(file), trust=trust, timeout=SECONDS)
    token = str(answer["auth"]["client_token"])
    ask(addresses, "auth/token/revoke-self", {}, trust=trust, token=token, timeout=SECONDS)


def take(file: str, addresses: tuple[str, ...], given: TextIO) -> None:
    """Open the wrapped SecretID, which can be done once, and keep the login.

    Raises:
        RefusedError: somebody opened it before, or a minute is over.
    """
    new = json.load(given)
    trust = ssl.create_default_context(cadata=new["trust"])
    token = str(new["wrapping_token"])
    answer = ask(addresses, "sys/wrapping/unwrap", {}, trust=trust, token=token, timeout=SECONDS)
    text = json.dumps({"role_id": new["role_id"], "secret_id": answer["data"]["secret_id"]})
    _replace(Path(file), text)


def _replace(path: Path, text: str) -> None:
    """By one rename; root writes it, the group of the folder (Barbican's) reads it."""
    handle, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(text)
        stream.flush()
        os.fchown(stream.fileno(), -1, path.parent.stat().st_gid)
        os.fchmod(stream.fileno(), 0o640)
        os.fsync(stream.fileno())
    Path(draft).replace(path)


def main(arguments: list[str]) -> int:
    """The command; what it has to say is on standard error."""
    taking = arguments[:1] == ["--take"]
    file, ca_file, *addresses = arguments[1:] if taking else arguments
    try:
        if taking:
            take(file, tuple(addresses), sys.stdin)
        check(file, ca_file, tuple(addresses))
    except RefusedError as error:
        sys.stderr.write(f"{error}\n")
        return NO_LOGIN
    except (OpenBaoError, OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return GOOD


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
