"""Signatures by keys of OpenBao's transit engine that cannot be exported: ECDSA P-384 over SHA-384."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

HASH = "sha2-384"
AUDIT = "audit"
"""The key that signs what the compliance suite says."""

type Ask = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""OpenBao: method, path, body; the answer."""


def rules(key: str) -> dict[str, dict[str, Any]]:
    """The policy of whoever signs with a key: makes it, reads its public half, signs."""
    return {
        f"transit/keys/{key}": {
            "capabilities": ["create", "update", "read"],
            "allowed_parameters": {"type": ["ecdsa-p384"], "exportable": [False]},
        },
        f"transit/sign/{key}/{HASH}": {"capabilities": ["update"]},
    }


def make(key: str, ask: Ask) -> None:
    """See that the key exists; nothing changes when it does."""
    ask("POST", f"transit/keys/{key}", {"type": "ecdsa-p384", "exportable": False})


def sign(key: str, content: bytes, ask: Ask) -> bytes:
    """The signature, DER, of SHA-384 over the content; the key is made when there is none."""
    make(key, ask)
    given = {"input": base64.b64encode(hashlib.sha384(content).digest()).decode(), "prehashed": True}
    answer = ask("POST", f"transit/sign/{key}/{HASH}", given)
    return base64.b64decode(str(answer["data"]["signature"]).rpartition(":")[2])


def public_key(key: str, ask: Ask) -> str:
    """The public half of the newest version, PEM."""
    data = ask("GET", f"transit/keys/{key}", {})["data"]
    return str(data["keys"][str(data["latest_version"])]["public_key"]).strip() + "\n"
