"""What ``systemd-journal-upload`` sends: systemd's Journal Export Format."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

type Value = str | list[int]
type Entry = dict[str, Value | list[Value]]

LENGTH = 8
LONGEST = 768 * 1024 * 1024
"""Of a field, as journald's own limit on its entries."""


class MalformedError(ValueError):
    """What came is no journal export."""


def entries(stream: BinaryIO) -> Iterator[Entry]:
    """The complete entries of a stream; one that breaks off in the middle of an entry raises.

    Raises:
        MalformedError: not in the format, or cut off.
    """
    entry: Entry = {}
    while line := stream.readline():
        if line == b"\n":
            if entry:
                yield entry
            entry = {}
            continue
        name, value = _field(line, stream)
        _add(entry, name, value)
    if entry:
        raise MalformedError("cut off inside an entry")


def _field(line: bytes, stream: BinaryIO) -> tuple[str, bytes]:
    """Name and value of a field: ``NAME=text``, or ``NAME``, eight bytes of length, and the bytes."""
    if not line.endswith(b"\n"):
        raise MalformedError("cut off inside a field")
    name, equals, text = line[:-1].partition(b"=")
    if equals:
        return _name(name), text
    length = int.from_bytes(_exactly(stream, LENGTH), "little")
    if length > LONGEST:
        raise MalformedError(f"a field of {length} bytes")
    value = _exactly(stream, length)
    if _exactly(stream, 1) != b"\n":
        raise MalformedError("no line end behind a binary field")
    return _name(name), value


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise MalformedError("cut off inside a binary field")
    return data


def _name(name: bytes) -> str:
    if not name or not name.replace(b"_", b"").isalnum() or not name.isascii():
        raise MalformedError("a field without a name")
    return name.decode("ascii")


def _add(entry: Entry, name: str, value: bytes) -> None:
    """As in ``journalctl -o json``: what is no UTF-8 as numbers, a field that comes twice as a list."""
    try:
        shown: Value = value.decode("utf-8")
    except UnicodeDecodeError:
        shown = list(value)
    if name not in entry:
        entry[name] = shown
        return
    before = entry[name]
    several = before if isinstance(before, list) and not _is_bytes(before) else [before]
    entry[name] = [*several, shown]


def _is_bytes(value: list[Value] | list[int]) -> bool:
    return bool(value) and isinstance(value[0], int)


class ChunkedBody(io.RawIOBase):
    """The body of a request in chunks (RFC 9112, 7.1), as a stream.

    Args:
        connection: the request's stream, behind its headers.
    """

    def __init__(self, connection: BinaryIO) -> None:
        self._connection = connection
        self._left = 0
        self.complete = False
        """Whether the last chunk has come."""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the current chunk; 0 behind the last one.

        Raises:
            MalformedError: no chunk, or the connection broke off.
        """
        if self.complete:
            return 0
        if self._left == 0:
            self._left = self._next()
        if self._left == 0:
            self.complete = True
            return 0
        data = self._connection.read1(min(len(buffer), self._left))  # type: ignore[attr-defined]
        if not data:
            raise MalformedError("the connection broke off")
        buffer[: len(data)] = data
        self._left -= len(data)
        if self._left == 0 and self._connection.readline(3) not in {b"\r\n", b"\n"}:
            raise MalformedError("no line end behind a chunk")
        return len(data)

    def _next(self) -> int:
        """Size of the next chunk; behind the last one, trailers are read and dropped."""
        line = self._connection.readline(1024)
        try:
            size = int(line.split(b";")[0].strip(), 16)
        except ValueError as error:
            raise MalformedError("the connection broke off" if not line else "no chunk") from error
        while size == 0 and self._connection.readline(8192) not in {b"\r\n", b"\n", b""}:
            pass
        return size
