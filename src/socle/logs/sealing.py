"""Seal what came since the last time, pack closed days, drop those whose time is over: by a timer, as root.

``python3 -m socle.logs.sealing /etc/socle/logs.json``. The signature is OpenBao's: the host logs in with its
own AppRole and may sign with this one key. When OpenBao does not answer nothing is sealed, and the next run
seals all.
"""

from __future__ import annotations

import base64
import fcntl
import gzip
import hashlib
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from socle.logs import places
from socle.logs.chain import FIRST, TIME, Measured, canonical, day_of, digest, line_of, part_key
from socle.logs.places import files_of, name_of

KEY = "logs-seal"
HASH = "sha2-384"
SEALS = "seals.jsonl"
LOGIN = Path("/etc/socle/openbao-login.json")
SECONDS = 20
BLOCK = 1 << 20
CLOSED_AFTER = timedelta(minutes=10)
"""Of the next day: whoever wrote at midnight is done."""
DAYS_AT_ONCE = 3
"""Days that one run removes: a clock that is far ahead for a moment does not empty the store."""

type Sign = Callable[[bytes], str]


class SealingError(Exception):
    """One line for a person."""


def seal(store: Path, sign: Sign, now: datetime) -> int:
    """Add a seal; the number of bytes that it covers.

    Raises:
        SealingError: the seals that are there cannot be read.
    """
    lines = seals_of(store)
    ends, closed = _sealed(lines)
    parts = [
        part
        for path in files_of(store)
        if (name := name_of(store, path)) not in closed
        and (part := _part(path, name, ends.get(name, 0), now))
    ]
    made = {
        "number": len(lines) + 1,
        "time": now.strftime(TIME),
        "previous": digest(lines[-1]) if lines else FIRST,
        "parts": parts,
    }
    _add(store / SEALS, line_of({**made, "signature": sign(canonical(made))}))
    return sum(part["to"] - part["from"] for part in parts)


def seals_of(store: Path) -> list[str]:
    """The lines of the chain, without what a kill left behind the last complete one."""
    try:
        with places.opened(store / SEALS) as stream:
            text = stream.read().decode()
    except FileNotFoundError:
        return []
    return text[: text.rfind("\n") + 1].splitlines()


def measure(store: Path) -> Measured:
    """What ``chain.judge`` wants to know of the store."""
    lines = seals_of(store)
    wanted: dict[str, list[dict[str, Any]]] = {}
    for part in _parts_told(lines):
        wanted.setdefault(part["file"], []).append(part)
    parts: dict[str, str | None] = {}
    sizes: dict[str, int] = {}
    heard: dict[str, float] = {}
    for path in files_of(store):
        name = name_of(store, path)
        heard[path.parent.name] = max(heard.get(path.parent.name, 0), path.lstat().st_mtime)
        own: dict[str, str | None] = {}
        size = _measure_file(path, wanted.get(name, []), own)
        if name in sizes and (size != sizes[name] or any(parts[key] != own[key] for key in own)):
            size += sizes[name]  # beside the packed day stands another that is not it
        sizes[name] = size
        parts |= own
    return Measured(lines, parts, sizes, heard)


def _parts_told(lines: list[str]) -> Iterator[dict[str, Any]]:
    """The parts of all seals up to one that cannot be read; judging tells that one."""
    for line in lines:
        try:
            yield from json.loads(line)["parts"]
        except (ValueError, KeyError, TypeError):
            return


def pack(store: Path) -> None:
    """Compress closed days; the plain file goes when the packed one is on disk, whole.

    Raises:
        SealingError: something else is packed under the name of a day; both stay.
    """
    _ends, closed = _sealed(seals_of(store))
    others = []
    for path in list(files_of(store)):
        if path.suffix == ".gz" or name_of(store, path) not in closed or not places.close(path):
            continue
        packed = path.with_name(f"{path.name}.gz")
        if not os.path.lexists(packed):
            _pack(path, packed)
        elif not _has(packed, path):
            others.append(name_of(store, path))
            continue
        places.remove(path)
    if others:
        raise SealingError(f"{', '.join(others)}: is packed already with another content; both were kept")


def _pack(path: Path, packed: Path) -> None:
    draft = f".{path.name}.gz.new"
    places.remove(path.with_name(draft))
    with places.opened(path) as plain, places.folder_of(path) as folder:
        handle = places.handle_of(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, folder)
        with os.fdopen(handle, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb") as target:
                while block := plain.read(BLOCK):
                    target.write(block)
            raw.flush()
            os.fchmod(raw.fileno(), 0o440)
            os.fsync(raw.fileno())
        os.replace(draft, packed.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def _has(packed: Path, path: Path) -> bool:
    """Whether all of a plain file is in the packed one: a kill came before its end."""
    try:
        with places.unpacked(packed) as kept, places.opened(path) as plain:
            while block := plain.read(BLOCK):
                if kept.read(len(block)) != block:
                    return False
    except (OSError, EOFError, zlib.error):
        return False
    return True


def expire(store: Path, months: int, now: datetime, at_once: int = DAYS_AT_ONCE) -> list[str]:
    """Remove days older than that many months that were closed and packed; their names. Their seals stay.

    Args:
        at_once: so many days at most, the oldest first.
    """
    limit = oldest(months, now)
    closed = {part["file"] for part in _parts_told(seals_of(store)) if part["closed"]}
    over = [
        path
        for path in files_of(store)
        if day_of(path.name) < limit and path.suffix == ".gz" and name_of(store, path) in closed
    ]
    days = sorted({day_of(path.name) for path in over})[:at_once]
    gone = [path for path in over if day_of(path.name) in days]
    for path in gone:
        places.remove(path)
    return [name_of(store, path) for path in gone]


def oldest(months: int, now: datetime) -> str:
    """The first day that must be kept."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    day = min(now.day, 28)
    return f"{year:04}-{month + 1:02}-{day:02}"


def _sealed(lines: list[str]) -> tuple[dict[str, int], set[str]]:
    """Where the seals of each file end, and which files are closed."""
    ends: dict[str, int] = {}
    closed: set[str] = set()
    for number, line in enumerate(lines, 1):
        try:
            parts = json.loads(line)["parts"]
        except (ValueError, KeyError) as error:
            raise SealingError(f"seal {number} cannot be read; run `socle logs verify`") from error
        for part in parts:
            ends[part["file"]] = part["to"]
            closed |= {part["file"]} if part["closed"] else set()
    return ends, closed


def _part(path: Path, name: str, begin: int, now: datetime) -> dict[str, Any] | None:
    """What came behind the last seal of a file, up to its last line end; None when nothing did."""
    day = datetime.strptime(day_of(path.name), "%Y-%m-%d").replace(tzinfo=UTC)
    over = now > day + timedelta(days=1) + CLOSED_AFTER
    closed = over and (path.suffix == ".gz" or places.close(path))
    hashed, end = hashlib.sha256(), begin
    with places.unpacked(path) as stream:
        stream.seek(begin)
        for line in stream:
            if line.endswith(b"\n"):
                hashed.update(line)
                end += len(line)
    if end == begin and not closed:
        return None
    return {"file": name, "from": begin, "to": end, "sha256": hashed.hexdigest(), "closed": closed}


def _measure_file(path: Path, wanted: list[dict[str, Any]], parts: dict[str, str | None]) -> int:
    """Hash the sealed parts of a file, which follow each other; its size."""
    try:
        with places.unpacked(path) as stream:
            for part in sorted(wanted, key=lambda part: int(part["from"])):
                stream.seek(part["from"])
                hashed, left = hashlib.sha256(), part["to"] - part["from"]
                while left and (block := stream.read(min(BLOCK, left))):
                    hashed.update(block)
                    left -= len(block)
                parts[part_key(part)] = None if left else hashed.hexdigest()
            return int(stream.seek(0, os.SEEK_END)) if path.suffix != ".gz" else _size(stream)
    except (OSError, EOFError, zlib.error):
        return 0  # packed and damaged: nothing of it is what was sealed


def _size(stream: Any) -> int:
    while stream.read(BLOCK):
        pass
    return int(stream.tell())


def _add(path: Path, line: str) -> None:
    """Append a line, and see it on disk; what a kill left of another is cut off first."""
    handle = places.handle_of(str(path), os.O_RDWR | os.O_CREAT)
    with os.fdopen(handle, "r+b") as stream:
        stream.truncate(stream.read().rfind(b"\n") + 1)
        stream.seek(0, os.SEEK_END)
        stream.write(f"{line}\n".encode())
        stream.flush()
        os.fsync(stream.fileno())


def openbao_signer(settings: Mapping[str, Any]) -> Sign:
    """Signs as this host."""
    context = ssl.create_default_context(cafile=settings["trust"])

    def call(path: str, body: Mapping[str, Any], token: str = "") -> Any:
        said = "no address"
        for base in settings["openbao"]:
            request = urllib.request.Request(f"{base}/v1/{path}", json.dumps(body).encode(), method="POST")  # noqa: S310
            request.add_header("X-Vault-Request", "true")
            request.add_header("X-Vault-Token", token)
            try:
                with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:  # noqa: S310
                    return json.loads(answer.read() or b"{}")
            except urllib.error.HTTPError as error:
                said = f"{path}: status {error.code}"
                if error.code < 500:  # noqa: PLR2004 - not the server's fault: others say the same
                    break
            except OSError as error:
                said = f"{base}: {error}"
        raise SealingError(f"OpenBao signs nothing: {said}")

    def sign(text: bytes) -> str:
        login = json.loads(LOGIN.read_text(encoding="utf-8"))
        token = call("auth/approle/login", login)["auth"]["client_token"]
        call(f"transit/keys/{KEY}", {"type": "ecdsa-p384", "exportable": False}, token)
        given = {"input": base64.b64encode(text).decode()}
        return str(call(f"transit/sign/{KEY}/{HASH}", given, token)["data"]["signature"])

    return sign


def main() -> None:
    """Seal, pack, expire; ends with 1 and a line when something is wrong."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    store, now = Path(settings["store"]), datetime.now(UTC)
    with os.fdopen(places.handle_of(str(store / ".lock"), os.O_WRONLY | os.O_CREAT), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            seal(store, openbao_signer(settings), now)
            for name in expire(store, settings["retention_months"], now):
                print(f"{name}: removed, older than {settings['retention_months']} months")  # noqa: T201
            pack(store)
        except (SealingError, OSError) as failure:
            print(failure, file=sys.stderr)  # noqa: T201 - a program of the node
            sys.exit(1)


if __name__ == "__main__":
    main()
