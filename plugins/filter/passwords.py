"""Passwords as MariaDB and RabbitMQ keep them, so that no configuration holds them in clear."""

from __future__ import annotations

import base64
import hashlib
from typing import Any


def mariadb_password(password: str) -> str:
    """MariaDB's ``mysql_native_password``: ``*`` and SHA1(SHA1(password)) in upper-case hexadecimal.

    Source: https://mariadb.com/kb/en/authentication-plugin-mysql_native_password/
    """
    inner = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the server's own format
    return "*" + hashlib.sha1(inner).hexdigest().upper()  # noqa: S324


def rabbitmq_password(password: str) -> str:
    """RabbitMQ's salted SHA-256, in base64: four bytes of salt, then SHA-256(salt + password).

    The salt comes from the password, which is random and used once: a second run writes the same file.
    Source: https://www.rabbitmq.com/docs/passwords
    """
    salt = hashlib.sha256(b"salt:" + password.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names as they are written in templates."""
        return {"mariadb_password": mariadb_password, "rabbitmq_password": rabbitmq_password}
