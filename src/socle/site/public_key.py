"""A public key of SSH: the line of a ``.pub`` file, whose blob must be what the line says (RFC 4253, 6.6)."""

from __future__ import annotations

import base64
import binascii

from socle.site.wrong import wrong

KINDS = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp384", "ssh-rsa")
SHORTEST = 32
"""Bytes of the smallest key, that of Ed25519."""


def public_key(value: str) -> str:
    """The value, when it is a key of a kind that nodes accept.

    Raises:
        PydanticCustomError: it is none.
    """
    parts = value.split()
    if len(parts) < 2 or parts[0] not in KINDS or not _is_key(parts[0], parts[1]):  # noqa: PLR2004 - kind, key
        raise wrong("not an SSH public key", "the line of a .pub file", "ssh-ed25519 AAAA… name")
    return value


def _is_key(kind: str, text: str) -> bool:
    """Whether the blob is base64, names the same kind in its first field, and has whole fields behind it."""
    try:
        fields = _fields(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
    return len(fields) > 1 and fields[0] == kind.encode() and max(map(len, fields[1:])) >= SHORTEST


def _fields(blob: bytes) -> list[bytes]:
    found = []
    while blob:
        length = int.from_bytes(blob[:4])
        field, blob = blob[4 : 4 + length], blob[4 + length :]
        if len(field) != length or not length:
            raise ValueError
        found.append(field)
    return found
