"""Copies of the central logs on the deploying machine, each verified against the store's own seals."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, cast

from socle import durable, vault
from socle.catalogue import Catalogue
from socle.deploy.nodes import ssh
from socle.errors import ExitCode, SocleError
from socle.logs import asking, places
from socle.logs.chain import Check, Head
from socle.logs.places import files_of
from socle.logs.sealing import SEALS, expire, measure
from socle.paths import state_dir
from socle.site import Host, Site
from socle.site.entrance import reason

TAKEN: Final = "logs/copies.json"
"""In a site's state: of each store, when and where the last copy was taken and what its verification said."""
NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]*/" + places.NAME.pattern)
DAYS_AT_ONCE: Final = 31
"""That one copy may remove, as much as a month without a copy makes."""
BLOCK: Final = 1 << 20


def take(site: Site, services: Catalogue, folder: Path) -> dict[str, dict[str, Any]]:
    """Bring the copy of each store in a folder up to date and verify it; what is noted of each.

    Raises:
        SocleError: a node or OpenBao does not answer (exit code 6), or the folder cannot be written.
    """
    check = asking.checker(asking.public_keys(vault.place_of(site, services)))
    heads = durable.read_json(state_dir(site.name) / asking.HEADS)
    path = state_dir(site.name) / TAKEN
    noted = durable.read_json(path)
    for host in asking.stores(site):
        place = folder.absolute() / host.name
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        fetch(site, host, place)
        expire(place, site.settings.logs.retention_months, datetime.now(UTC), DAYS_AT_ONCE)
        seen = Head(**heads[host.name]) if host.name in heads else None
        noted[host.name] = verified(site, place, check, seen)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    durable.write_json(path, noted)
    return noted


def fetch(site: Site, host: Host, place: Path) -> None:
    """Make a folder what the store of a host is now."""
    known = {str(path.relative_to(place)): path.stat().st_size for path in files_of(place)}
    command = [*ssh(site, host), f"sudo -n {asking.PROGRAM}"]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said) as asked:
            if asked.stdin is None or asked.stdout is None:
                raise SocleError("ssh has no streams", where=host.name)
            try:
                with asked.stdin as question:
                    question.write(json.dumps({"do": "copy", "known": known}).encode())
                receive(asked.stdout, place)
            except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
                asked.kill()
                broken: Exception | None = error
            else:
                broken = None
        if asked.returncode != 0 or broken:
            said.seek(0)
            why = reason(said.read().decode("utf-8", "replace"), str(broken or f"status {asked.returncode}"))
            raise SocleError(
                f"the store of logs gives no copy ({why})",
                where=host.name,
                write="run `socle deploy --only logs_store`",
                exit_code=ExitCode.UNREACHABLE,
            )


def receive(stream: IO[bytes], place: Path) -> None:
    """Lay an archive of the store into a folder. Nothing that is there is ever replaced by something else.

    Raises:
        tarfile.TarError: it is none, is cut off, or holds what no store has.
        DivergedError: the store does not continue what the copy has.
    """
    read = 0
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None or not (member.name == SEALS or NAME.fullmatch(member.name)):
                raise tarfile.TarError(f"{member.name} is no file of a store")
            _lay(content, place / member.name)
            read += 1
    if not read:
        raise tarfile.TarError("no archive of a store")


class DivergedError(SocleError):
    """What the store has now is not what the copy has, and more."""


def _lay(content: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)  # of a run that was killed, and nobody may write to it
    with draft.open("wb") as target:
        while block := content.read(BLOCK):
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    draft.chmod(0o400)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    for former in {path, plain}:
        if former.exists() and not _continues(former, draft):
            draft.unlink()
            raise DivergedError(
                "is not what the store has now, and more",
                where=str(former),
                write="keep this copy, run `socle logs verify`, and copy into another folder",
            )
    draft.replace(path)
    if plain != path:
        plain.unlink(missing_ok=True)


def _continues(former: Path, new: Path) -> bool:
    """Whether a file begins with all that another one has, packed or not."""
    with _opened(former) as before, _opened(new) as after:
        while block := before.read(BLOCK):
            if after.read(len(block)) != block:
                return False
    return True


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if ".gz" in path.suffixes else path.open("rb")


def verified(site: Site, place: Path, check: Check, seen: Head | None) -> dict[str, Any]:
    """What is to be noted of a copy: what it is, and what is wrong with it by the seals that came with it."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "folder": str(place),
        **size(place),
        # Before it is verified: what changes meanwhile differs from this or is found.
        "sha256": content(place),
        "faults": asking.judged(site, measure(place), check, seen),
    }


def size(place: Path) -> Mapping[str, int]:
    """How many files a copy has, and how many bytes."""
    sizes = [path.stat().st_size for path in files_of(place)]
    return {"files": len(sizes), "bytes": sum(sizes)}


def content(place: Path) -> str:
    """A hash of all that a copy has, names and bytes: less work than its verification, which unpacks it."""
    told = hashlib.sha256()
    for path in (place / SEALS, *files_of(place)):
        try:
            with places.opened(path) as stream:
                own = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            own = "not readable"  # when it was verified too, its faults say so
        told.update(f"{path.relative_to(place)} {own}\n".encode())
    return told.hexdigest()
