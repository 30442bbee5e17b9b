"""Files of the state folder that must survive a kill or a power cut: whole or absent, mode 0600."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from socle.errors import SocleError


def write(path: Path, text: str) -> None:
    """Replace a file by one rename; it is on disk when this returns.

    Raises:
        SocleError: the disk is full or the folder cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """As ``write``."""
    draft = path.with_name(f".{path.name}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise SocleError(
            f"cannot be written: {error.strerror}", where=str(path), write="make room"
        ) from error


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


def sync_folder(path: Path) -> None:
    """Put the names of a folder on disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
