"""One node's part of the store: a folder with a file of JSON lines for each day, to which is only appended.

An entry is on disk before its sender hears of it. A sender that was cut off sends again what was not
acknowledged; what the store has of it already is known by its cursor and not written twice.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from socle.logs import places
from socle.logs.export import Entry

DROPPED = frozenset(
    {
        "_CAP_EFFECTIVE",
        "_MACHINE_ID",
        "_RUNTIME_SCOPE",
        "_SELINUX_CONTEXT",
        "_SOURCE_REALTIME_TIMESTAMP",
        "_SYSTEMD_CGROUP",
        "_SYSTEMD_INVOCATION_ID",
        "_SYSTEMD_SLICE",
        "__MONOTONIC_TIMESTAMP",
        "__SEQNUM",
        "__SEQNUM_ID",
    }
)
"""Fields that repeat what others say: a third of the size."""

TOGETHER = 500
"""Entries in one write."""
FILES_A_DAY = 100


def today() -> str:
    """The day, UTC, that names a file."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


class NodeLog:
    """The log of one node; its methods may be called from several threads.

    Args:
        folder: of this node.
        day: tells the day of reception.
    """

    def __init__(self, folder: Path, day: Callable[[], str] = today) -> None:
        self._folder = folder
        self._day = day
        self._lock = threading.Lock()
        self._mark = folder / ".acknowledged"
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for path in folder.glob("*.jsonl"):
            if not places.closed(path.stat()):
                _trim(path)
        self._unsynced: set[str] = set()
        self._acknowledged = self._since_mark()
        self._current: set[str] = set()
        self._begin = self._end()
        self.repeated = 0
        """Entries that came again."""

    def append(self, entries: Iterable[Entry]) -> int:
        """Write entries as they come and return how many were new. Not on disk until ``acknowledge``."""
        new = 0
        batch: list[Entry] = []
        try:
            for entry in entries:
                batch.append(entry)
                if len(batch) == TOGETHER:
                    new += self._write(batch)
                    batch = []
        finally:
            new += self._write(batch)
        return new

    def acknowledge(self) -> None:
        """Put on disk what was written: only then may the sender forget it."""
        with self._lock:
            if self._unsynced:
                for name in self._unsynced:
                    _sync(self._folder / name)
                _sync(self._folder)
                self._unsynced = set()
            draft = self._mark.with_name(".acknowledged.new")
            draft.write_text(json.dumps(self._begin), encoding="utf-8")
            draft.replace(self._mark)
            if self._current:
                self._acknowledged, self._current = self._current, set()
            self._begin = self._end()

    def _write(self, batch: list[Entry]) -> int:
        with self._lock:
            fresh: dict[str, Entry] = {}
            for number, entry in enumerate(batch):
                cursor = str(entry.get("__CURSOR", f"none {number}"))
                if cursor not in self._current and cursor not in self._acknowledged:
                    fresh.setdefault(cursor, entry)
            self.repeated += len(batch) - len(fresh)
            if fresh:
                lines = (line(self._folder.name, entry) for entry in fresh.values())
                self._put("".join(lines).encode())
                # Only now: what could not be written must not count as there when it comes again.
                self._current.update(cursor for cursor in fresh if not cursor.startswith("none "))
            return len(fresh)

    def _put(self, data: bytes) -> None:
        """Append to the file of the day; where a clock that was ahead had it closed, to the next one."""
        day = self._day()
        for number in range(FILES_A_DAY):
            name = f"{day}_{number:02}.jsonl" if number else f"{day}.jsonl"
            if _append(self._folder / name, data):
                self._unsynced.add(name)
                return
        raise OSError(errno.EEXIST, "all files of the day are closed", str(self._folder / day))

    def _end(self) -> tuple[str, int]:
        """Name and size of the newest file."""
        newest = sorted(self._folder.glob("*.jsonl"))[-1:]
        return (newest[0].name, newest[0].stat().st_size) if newest else ("", 0)

    def _since_mark(self) -> set[str]:
        """Cursors of the last batch that was acknowledged, and of all that came behind it."""
        try:
            name, offset = json.loads(self._mark.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            name, offset = self._end()[0], 0
        found = set()
        for path in sorted(self._folder.glob("*.jsonl")):
            if path.name >= name:
                self._unsynced.add(path.name)
                begin = offset if path.name == name else 0
                found |= {str(entry.get("__CURSOR", "")) for entry in _entries_from(path, begin)}
        return found


def line(node: str, entry: Entry) -> str:
    """An entry as it is kept. The node's name comes from its certificate, not from what it says."""
    kept = {name: value for name, value in entry.items() if name not in DROPPED}
    return (
        json.dumps({"node": node} | kept | {"node": node}, ensure_ascii=False, separators=(",", ":")) + "\n"
    )


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file of the store, compressed or not."""
    with places.unpacked(path) as stream:
        yield from stream


def _entries_from(path: Path, offset: int) -> Iterator[dict[str, object]]:
    with path.open("rb") as stream:
        stream.seek(offset)
        for text in stream:
            try:
                yield json.loads(text)
            except ValueError:
                continue  # not this program's business: sealing and verification tell it


def _trim(path: Path) -> None:
    """Drop what a kill left behind the last complete line."""
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            begin = max(0, end - 65536)
            stream.seek(begin)
            found = stream.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end < size:
            stream.truncate(end)


def _append(path: Path, data: bytes) -> bool:
    """All of it or nothing, as far as the disk allows; False when the file is closed.

    Raises:
        OSError: the disk is full, or does not take it.
    """
    packed = path.with_name(f"{path.name}.gz")
    if packed.exists() or (path.exists() and places.closed(path.stat())):
        return False
    with open(path, "ab", buffering=0, opener=_opener) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if packed.exists() or places.closed(os.fstat(stream.fileno())):
            return False  # closed meanwhile
        end = stream.seek(0, os.SEEK_END)
        try:
            written = stream.write(data)
        except OSError:
            stream.truncate(end)
            raise
        if written != len(data):
            stream.truncate(end)
            raise OSError(errno.ENOSPC, "no room for an upload", str(path))
    return True


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def _sync(path: Path) -> None:
    """Put a file on disk; one that is gone was packed, and that is on disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
