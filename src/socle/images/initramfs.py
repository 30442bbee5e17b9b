"""Writes an initramfs: a compressed cpio archive in the "newc" form (buffer-format.rst of the kernel)."""

from __future__ import annotations

import gzip
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BLOCK = 512


@dataclass(frozen=True)
class Member:
    """One file, folder or symbolic link; owner root and date 0: the same input gives the same bytes."""

    path: str
    mode: int
    content: bytes = b""


def folder(path: str) -> Member:
    """A folder with mode 0755."""
    return Member(path, stat.S_IFDIR | 0o755)


def file(path: str, content: bytes, *, executable: bool = False) -> Member:
    """A regular file."""
    return Member(path, stat.S_IFREG | (0o755 if executable else 0o644), content)


def link(path: str, target: str) -> Member:
    """A symbolic link."""
    return Member(path, stat.S_IFLNK | 0o777, target.encode())


def write(members: Iterable[Member], path: Path) -> None:
    """Write the members in their order, a folder before what it holds."""
    archive = b"".join(_entry(number, member) for number, member in enumerate(members, start=1))
    archive += _entry(0, Member("TRAILER!!!", 0))
    archive += b"\0" * (-len(archive) % BLOCK)
    path.write_bytes(gzip.compress(archive, compresslevel=6, mtime=0))


def _entry(inode: int, member: Member) -> bytes:
    name = member.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(member.mode) else 1
    fields = [inode, member.mode, 0, 0, links, 0, len(member.content), 0, 0, 0, 0, len(name), 0]
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    return _padded(header + name) + _padded(member.content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
