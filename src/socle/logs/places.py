"""Files of the store as root meets them: in folders of the receiver's account, so never behind a link.

Whoever owns a folder can put a link, a pipe or a link to another folder where a file was.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

NAME = re.compile(r"\d{4}-\d\d-\d\d(_\d\d)?\.jsonl(\.gz)?")
"""A day; a number when the day was closed before its end, by a clock that was ahead, and went on."""
WRITABLE = 0o200


def files_of(store: Path) -> Iterator[Path]:
    """The files of all nodes, packed or not, by name."""
    for path in sorted((*store.glob("*/*.jsonl"), *store.glob("*/*.jsonl.gz"))):
        if NAME.fullmatch(path.name) and not path.parent.is_symlink() and _is_file(path):
            yield path


def name_of(store: Path, path: Path) -> str:
    """Name of a file in seals: the same when it is packed."""
    return str(path.relative_to(store)).removesuffix(".gz")


@contextmanager
def folder_of(path: Path) -> Iterator[int]:
    """The folder that a file is in.

    Raises:
        OSError: it is a link.
    """
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield handle
    finally:
        os.close(handle)


def opened(path: Path) -> io.BufferedReader:
    """A file to read, as it is on disk.

    Raises:
        OSError: it is a link or no file, or its folder is a link.
    """
    with folder_of(path) as folder:
        return os.fdopen(handle_of(path.name, os.O_RDONLY, folder), "rb")


def unpacked(path: Path) -> BinaryIO:
    """A file to read, compressed or not; otherwise as ``opened``."""
    raw = opened(path)
    return cast(BinaryIO, _Unpacked(raw)) if path.suffix == ".gz" else raw


def handle_of(name: str, flags: int, folder: int | None = None, mode: int = 0o640) -> int:
    """A file by its name in a folder; otherwise as ``opened``."""
    handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, mode, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "is no file", name)
    return handle


def close(path: Path) -> bool:
    """Take a file from the receiver, which goes on in one of another name; False while it is writing."""
    with opened(path) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.fchmod(stream.fileno(), 0o440)
        return True


def closed(status: os.stat_result) -> bool:
    """Whether a file was taken from the receiver."""
    return not status.st_mode & WRITABLE or not status.st_nlink


def remove(path: Path) -> None:
    """Remove a file from its folder; nothing when there is none."""
    with folder_of(path) as folder:
        try:
            os.unlink(path.name, dir_fd=folder)
        except FileNotFoundError:
            return
        os.fsync(folder)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False  # packed or removed meanwhile


class _Unpacked(gzip.GzipFile):
    """Closes the file below it too."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        super().__init__(fileobj=raw, mode="rb")

    def close(self) -> None:
        super().close()
        self._raw.close()
