"""The components' passwords and keys: made once, of the kind that the catalogue says."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import string
import struct
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from hvac.exceptions import InvalidPath

from socle import durable
from socle.vault.api import plainly
from socle.vault.login import deployer
from socle.vault.mounts import KV
from socle.vault.place import Place
from socle.vault.seal import cluster_id

MARKER = "secrets.json"
LETTERS = string.ascii_letters + string.digits


def password() -> str:
    """32 letters and digits: 190 bits, safe in a URL, a shell and an INI file."""
    return "".join(secrets.choice(LETTERS) for _ in range(32))


def fernet() -> str:
    """A key of 32 bytes in URL-safe base64 (https://github.com/fernet/spec)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def cephx() -> str:
    """A key of Ceph: type 1 (AES), creation time, length, 16 bytes, little-endian, in base64."""
    key = secrets.token_bytes(16)
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, len(key)) + key).decode()


KINDS: Mapping[str, Callable[[], str]] = {
    "password": password,
    "hex32": lambda: secrets.token_hex(32),
    "uuid": lambda: str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
    "fernet": fernet,
    "cephx": cephx,
}


def ensure_secrets(place: Place) -> tuple[str, ...]:
    """Create the secrets that are missing; their paths. What exists is neither read nor written.

    Check-and-set makes two deployments at once end in one value: the second is refused.
    """
    wanted = {"cluster": cluster_id(place), "content": _digest(place.secrets)}
    marker = place.folder / MARKER
    if durable.read_json(marker) == wanted:
        return ()
    speaker = deployer(place)
    with plainly(place):
        made = [
            path for component, kinds in place.secrets.items() for path in _ensure(speaker, component, kinds)
        ]
    durable.write_json(marker, wanted)
    return tuple(made)


def _ensure(speaker: Any, component: str, kinds: Mapping[str, str]) -> list[str]:
    names, version = _existing(speaker, component)
    missing = {name: KINDS[kind]() for name, kind in kinds.items() if name not in names}
    if not missing:
        return []
    body = {"options": {"cas": version}, "data": missing}
    path = f"{KV}/data/services/{component}"
    if version == 0:
        speaker.write_data(path, data=body)
    else:
        headers = {"Content-Type": "application/merge-patch+json"}
        speaker.adapter.request("patch", f"/v1/{path}", headers=headers, json=body)
    return [f"{component}/{name}" for name in missing]


def _existing(speaker: Any, component: str) -> tuple[set[str], int]:
    """Names of a component's secrets, without their values, and the version that holds them."""
    try:
        answer = speaker.read(f"{KV}/subkeys/services/{component}")
    except InvalidPath:
        return set(), 0
    if answer is None:
        return set(), 0
    data = answer["data"]
    return set(data["subkeys"] or {}), int(data["metadata"]["version"])


def _digest(wanted: Mapping[str, Mapping[str, str]]) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
