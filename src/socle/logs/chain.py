"""Seals over the store: each names what came since the one before, and carries its hash and a signature.

A seal is one line of JSON::

    {"number": 7, "time": "2026-03-01T10:05:00Z", "previous": "<SHA-256 of the line before>",
     "parts": [{"file": "cmp1/2026-03-01.jsonl", "from": 1200, "to": 5160, "sha256": "…", "closed": false}],
     "signature": "vault:v1:…"}

Signed is the line without its signature, by OpenBao's transit (ECDSA P-384 over SHA-384). ``judge`` is a pure
function of the seals, of what was measured on the node, and of the public keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST = "0" * 64
"""What stands before the first seal."""

TIME = "%Y-%m-%dT%H:%M:%SZ"

SILENT = timedelta(days=1)

type Seal = dict[str, Any]
type Check = Callable[[str, bytes], bool]
"""Whether a signature, as OpenBao writes it, is right for these bytes."""


@dataclass(frozen=True)
class Measured:
    """What stands on the node: the lines of seals, the hash of each sealed part, the size of each file."""

    seals: Sequence[str]
    parts: Mapping[str, str | None]
    """Key as ``part_key``; None when the file is gone or too short."""
    sizes: Mapping[str, int]
    heard: Mapping[str, float] = field(default_factory=dict)
    """When something of each node was last written, in seconds since 1970."""


@dataclass(frozen=True)
class Head:
    """The last seal that was seen: whoever seals anew cannot have it."""

    number: int
    sha256: str


def canonical(seal: Mapping[str, Any]) -> bytes:
    """What is signed."""
    unsigned = {name: value for name, value in seal.items() if name != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode()


def line_of(seal: Mapping[str, Any]) -> str:
    """A seal as it is kept, without the line end."""
    return json.dumps(seal, sort_keys=True, separators=(",", ":"))


def digest(line: str) -> str:
    """What the next seal says of this one."""
    return hashlib.sha256(line.encode()).hexdigest()


def head_of(lines: Sequence[str]) -> Head:
    """The end of a chain."""
    return Head(len(lines), digest(lines[-1]) if lines else FIRST)


def part_key(part: Mapping[str, Any]) -> str:
    """Name of a part in ``Measured``."""
    return f"{part['file']}:{part['from']}-{part['to']}"


def judge(
    measured: Measured, signed: Check, *, now: datetime, keep_until: str, every: timedelta, seen: Head | None
) -> list[str]:
    """Everything that is wrong, one line each; empty when the store is as it was sealed.

    Args:
        keep_until: days before this one may be gone: their time is over.
        every: between two seals.
        seen: the end of the chain at the last verification.
    """
    seals: list[Seal] = []
    faults: list[str] = []
    for number, line in enumerate(measured.seals, 1):
        try:
            seals.append(_checked(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            return [f"seal {number}: is not readable; nothing behind it can be trusted"]
    faults += _links(seals, measured.seals)
    faults += [
        f"seal {seal['number']}: its signature is wrong"
        for seal in seals
        if not signed(str(seal["signature"]), canonical(seal))
    ]
    faults += _head(measured.seals, seen)
    faults += _files(seals, measured, keep_until)
    faults += _age(seals, now, every)
    return faults


def silent(heard: Mapping[str, float], nodes: Iterable[str], now: datetime) -> list[str]:
    """Nodes of which nothing came for a day: each has timers that run more often."""
    faults = []
    for name in nodes:
        last = heard.get(name)
        if last is None:
            faults.append(f"{name}: was never heard")
        elif now.timestamp() - last > SILENT.total_seconds():
            faults.append(f"{name}: was last heard at {datetime.fromtimestamp(last, UTC).strftime(TIME)}")
    return faults


def _checked(seal: Seal) -> Seal:
    """The seal, when it has what a seal must have."""
    datetime.strptime(seal["time"], TIME).replace(tzinfo=UTC)
    for name in ("number", "previous", "signature"):
        seal[name]
    for part in seal["parts"]:
        part["file"], part["from"] + part["to"], part["sha256"], part["closed"]
    return seal


def _links(seals: Iterable[Seal], lines: Sequence[str]) -> list[str]:
    faults = []
    previous = FIRST
    for number, (seal, line) in enumerate(zip(seals, lines, strict=True), 1):
        if seal["number"] != number or seal["previous"] != previous:
            faults.append(f"seal {seal['number']}: does not follow the one before it")
        previous = digest(line)
    return faults


def _head(lines: Sequence[str], seen: Head | None) -> list[str]:
    if seen is None or seen.number == 0:
        return []
    if len(lines) < seen.number:
        return [f"seals {len(lines) + 1} to {seen.number} are gone since the last verification"]
    if digest(lines[seen.number - 1]) != seen.sha256:
        return [f"seal {seen.number}: is another one than at the last verification"]
    return []


def _files(seals: Iterable[Seal], measured: Measured, keep_until: str) -> list[str]:
    faults = []
    ends: dict[str, int] = {}
    closed: set[str] = set()
    for seal in seals:
        for part in seal["parts"]:
            name = part["file"]
            if part["from"] != ends.get(name, 0) or name in closed:
                faults.append(f"seal {seal['number']}: {name}: does not go on where the one before ended")
            ends[name] = part["to"]
            closed |= {name} if part["closed"] else set()
            faults += _part(part, measured, keep_until)
    for name, size in measured.sizes.items():
        if name in closed and size > ends[name]:
            faults.append(f"{name}: {size - ends[name]} bytes were added behind its last seal")
    return faults


def _part(part: Mapping[str, Any], measured: Measured, keep_until: str) -> list[str]:
    name, size = part["file"], measured.sizes.get(part["file"])
    if size is None:
        expired = day_of(name) < keep_until
        return [] if expired or part["from"] else [f"{name}: is gone"]
    if size < part["to"]:
        return [f"{name}: ends at {size} bytes, {part['to']} are sealed"]
    if measured.parts.get(part_key(part)) != part["sha256"]:
        return [f"{name}: bytes {part['from']} to {part['to']} are not what was sealed"]
    return []


def _age(seals: Sequence[Seal], now: datetime, every: timedelta) -> list[str]:
    if not seals:
        return ["nothing was ever sealed"]
    last = datetime.strptime(seals[-1]["time"], TIME).replace(tzinfo=UTC)
    if now - last > 3 * every:
        return [f"nothing was sealed since {seals[-1]['time']}"]
    return []


def day_of(name: str) -> str:
    """The day of a file of the store."""
    return name.rpartition("/")[2][: len("2026-03-01")]
