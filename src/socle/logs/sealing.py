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

from socle.logs.chain import FIRST, TIME, Measured, canonical, digest, line_of, part_key

KEY = "logs-seal"
HASH = "sha2-384"
SEALS = "seals.jsonl"
LOGIN = Path("/etc/socle/openbao-login.json")
SECONDS = 20
BLOCK = 1 << 20
CLOSED_AFTER = timedelta(minutes=10)
"""Of the next day: whoever wrote at midnight is done."""

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
    path = store / SEALS
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def files_of(store: Path) -> Iterator[Path]:
    """The files of all nodes, packed or not, by name."""
    yield from sorted((*store.glob("*/*.jsonl"), *store.glob("*/*.jsonl.gz")))


def name_of(store: Path, path: Path) -> str:
    """Name of a file in seals: the same when it is packed."""
    return str(path.relative_to(store)).removesuffix(".gz")


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
        heard[path.parent.name] = max(heard.get(path.parent.name, 0), path.stat().st_mtime)
        sizes[name] = _measure_file(path, wanted.get(name, []), parts)
    return Measured(lines, parts, sizes, heard)


def _parts_told(lines: list[str]) -> Iterator[dict[str, Any]]:
    """The parts of all seals up to one that cannot be read; judging tells that one."""
    for line in lines:
        try:
            yield from json.loads(line)["parts"]
        except (ValueError, KeyError, TypeError):
            return


def pack(store: Path) -> None:
    """Compress closed days; the plain file goes when the packed one is on disk."""
    _ends, closed = _sealed(seals_of(store))
    for path in sorted(store.glob("*/*.jsonl")):
        if name_of(store, path) not in closed:
            continue
        draft = path.with_name(f".{path.name}.gz.new")
        with (
            path.open("rb") as plain,
            draft.open("wb") as raw,
            gzip.GzipFile(fileobj=raw, mode="wb") as packed,
        ):
            while block := plain.read(BLOCK):
                packed.write(block)
            packed.flush()
            os.fsync(raw.fileno())
        draft.chmod(0o440)
        draft.replace(path.with_name(f"{path.name}.gz"))
        path.unlink()


def expire(store: Path, months: int, now: datetime) -> list[str]:
    """Remove days older than that many months; their names. Their seals stay."""
    limit = oldest(months, now)
    gone = []
    for path in files_of(store):
        if path.name.split(".")[0] < limit:
            path.unlink()
            gone.append(name_of(store, path))
    return gone


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
    day = datetime.strptime(path.name.split(".")[0], "%Y-%m-%d").replace(tzinfo=UTC)
    closed = now > day + timedelta(days=1) + CLOSED_AFTER
    hashed, end = hashlib.sha256(), begin
    with _opened(path) as stream:
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
        with _opened(path) as stream:
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


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _add(path: Path, line: str) -> None:
    """Append a line, and see it on disk; what a kill left of another is cut off first."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
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
    with (store / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            seal(store, openbao_signer(settings), now)
            pack(store)
            for name in expire(store, settings["retention_months"], now):
                print(f"{name}: removed, older than {settings['retention_months']} months")  # noqa: T201
        except (SealingError, OSError) as failure:
            print(failure, file=sys.stderr)  # noqa: T201 - a program of the node
            sys.exit(1)


if __name__ == "__main__":
    main()
