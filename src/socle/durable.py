"""Files of the state folder that must survive a kill or a power cut: whole or absent, mode 0600."""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from socle.errors import SocleError

LEFT = 24 * 3600
"""Seconds after which a draft is what a kill left: nobody writes that long."""


def write(path: Path, text: str) -> None:
    """Replace a file by one rename; it is on disk when this returns.

    Raises:
        SocleError: the disk is full or the folder cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """As ``write``."""
    try:
        _remove_leftovers(path)
        # A name of its own: of several who write at once, the last one wins, whole.
        handle, draft = tempfile.mkstemp(".new", f".{path.name}.", path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(draft).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(draft).unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise SocleError(
            f"cannot be written: {error.strerror}", where=str(path), write="make room"
        ) from error


def _remove_leftovers(path: Path) -> None:
    """Drafts of a file that were never finished."""
    with os.scandir(path.parent) as found:
        for one in found:
            if one.name.startswith(f".{path.name}.") and one.name.endswith(".new"):
                with suppress(OSError):  # another one finishes or removes it
                    if time.time() - one.stat(follow_symlinks=False).st_mtime > LEFT:
                        Path(one).unlink()


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file; see ``write``."""
    write(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty when there is no file.

    Raises:
        SocleError: the file is not a JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SocleError("is not JSON", where=str(path), write="restore it from a backup") from error
    if not isinstance(value, dict):
        raise SocleError("is not a JSON object", where=str(path), write="restore it from a backup")
    return value


def remove(path: Path) -> None:
    """Remove a file if it is there, and see that it stays removed."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Put the content of a file on disk, before it is renamed to what it is to be."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Put the names of a folder on disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
