"""Hashes that let a node check a password that it never gets."""

from __future__ import annotations

import base64
import hashlib
from typing import Any


def mysql_native_hash(password: str) -> str:
    """What MariaDB stores for ``mysql_native_password``: SHA-1 twice, in upper-case hex after an asterisk."""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324
    return "*" + hashlib.sha1(once).hexdigest().upper()  # noqa: S324


def rabbitmq_hash(password: str) -> str:
    """RabbitMQ's salted SHA-256 in base64 (https://www.rabbitmq.com/docs/passwords).

    The salt of four bytes comes from the password itself, a random one of 256 bits, so that the file that holds the hash
    does not change from run to run.
    """
    salt = hashlib.sha256(b"salt:" + password.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class FilterModule:
    """Filters of the roles that deploy the database and the queue."""

    def filters(self) -> dict[str, Any]:
        """Names under which templates find them."""
        return {"mysql_native_hash": mysql_native_hash, "rabbitmq_hash": rabbitmq_hash}
