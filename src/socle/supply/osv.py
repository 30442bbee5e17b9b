"""A local copy of an OSV database (https://ossf.github.io/osv-schema/): nothing is asked of the network.

A folder of JSON files, one for each record, in any depth: the export of osv.dev, or `data/osv` of Go's own
vulnerability database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socle.errors import ExitCode, SocleError
from socle.supply.bom import Component

MOST_BYTES = 16 << 20
"""Of one record."""


@dataclass(frozen=True)
class Packaged:
    """A component as databases name it."""

    component: Component
    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True)
class Record:
    """What a database tells of one vulnerability in one package."""

    id: str
    aliases: tuple[str, ...]
    ecosystem: str
    package: str
    told: dict[str, Any]

    @property
    def names(self) -> set[str]:
        """All names of the vulnerability."""
        return {self.id, *self.aliases}


def packaged(component: Component) -> Packaged | None:
    """A component as databases name it; none when it is of no ecosystem that they know."""
    kind = (component.purl or "").partition("/")[0].removeprefix("pkg:")
    if kind == "golang":
        return Packaged(component, "Go", component.name, component.version)
    if kind == "pypi":
        return Packaged(component, "PyPI", component.name, component.version)
    if kind == "deb":
        told = {entry.name: entry.value for entry in component.properties}
        release = (component.purl or "").rpartition("distro=debian-")[2]
        return Packaged(component, f"Debian:{release}", told["debian:source"], told["debian:source-version"])
    return None


def read(place: Path, wanted: Iterable[Packaged]) -> list[Record]:
    """The records of a database about the wanted packages; those that were withdrawn are left out.

    Raises:
        SocleError: no database (exit code 4), or a file that is no record.
    """
    keys = {(one.ecosystem, one.name) for one in wanted}
    told = {file: _told(file) for file in sorted(place.rglob("*.json"))} if place.is_dir() else {}
    records = {file: record for file, record in told.items() if record is not None}
    if not records:
        raise SocleError(
            "no OSV database",
            where=str(place),
            expected="a folder of OSV records, one JSON file each",
            write="mirror one: docs/operator/vulnerabilities.md",
            exit_code=ExitCode.PREREQUISITE,
        )
    return [entry for file, record in records.items() for entry in _entries(file, record, keys)]


def _entries(file: Path, told: dict[str, Any], keys: set[tuple[str, str]]) -> Iterator[Record]:
    if told.get("withdrawn"):
        return
    try:
        for entry in told.get("affected", ()):
            package = entry.get("package", {})
            key = (str(package.get("ecosystem", "")), str(package.get("name", "")))
            if key in keys:
                _check(entry)
                yield Record(str(told["id"]), tuple(told.get("aliases", ())), *key, dict(entry))
    except (AttributeError, KeyError, TypeError) as error:
        raise _wrong(file, "is no OSV record") from error


def _check(entry: dict[str, Any]) -> None:
    """Raises ``TypeError`` or ``KeyError`` for ranges that are no ranges."""
    texts = list(entry.get("versions", ()))
    for reach in entry.get("ranges", ()):
        texts += [reach["type"], *(text for event in reach["events"] for text in event.values())]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError


def _told(file: Path) -> dict[str, Any] | None:
    """A record; none for the tables of contents of a database."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise _wrong(file, "is larger than 16 MiB")
        told = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(file, "cannot be read as JSON") from error
    return told if isinstance(told, dict) and "id" in told else None


def _wrong(file: Path, what: str) -> SocleError:
    return SocleError(what, where=str(file), expected="an OSV record", write="fetch the database again")
