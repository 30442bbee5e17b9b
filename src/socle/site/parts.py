"""The files of a site once typed, each with its document so that a check can say at which line it looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from socle.site.classes import Classes
from socle.site.document import Document, Fault
from socle.site.evidence import Evidence
from socle.site.hosts import HostsFile
from socle.site.people import People
from socle.site.registry import Registry
from socle.site.segments import Segments
from socle.site.settings import Settings
from socle.site.suppliers import Equipment, Suppliers
from socle.site.tenant import Tenant
from socle.site.waivers import Waiver


@dataclass(frozen=True)
class Part[T: BaseModel]:
    """The typed content of one file, and where each value stands in it."""

    value: T
    document: Document

    def fault(
        self, *loc: str | int, what: str, expected: str | None = None, write: str | None = None
    ) -> Fault:
        """A fault at a location of the file."""
        return self.document.fault(loc, what, expected, write)


@dataclass(frozen=True)
class CompleteParts:
    """The files that every site has, all of them readable."""

    settings: Part[Settings]
    hosts: Part[HostsFile]
    people: Part[People]
    classes: Part[Classes]
    segments: Part[Segments]
    suppliers: Part[Suppliers]
    equipment: Part[Equipment]
    registry: Part[Registry]


@dataclass(frozen=True)
class Parts:
    """What could be read of a site; a file with a fault is absent and the checks that need it do not run."""

    folder: Path
    settings: Part[Settings] | None
    hosts: Part[HostsFile] | None
    people: Part[People] | None
    classes: Part[Classes] | None
    segments: Part[Segments] | None
    suppliers: Part[Suppliers] | None
    equipment: Part[Equipment] | None
    registry: Part[Registry] | None
    waivers: dict[str, Part[Waiver]]
    evidence: dict[str, Part[Evidence]]
    records: dict[str, Part[BaseModel]]
    tenants: dict[str, Part[Tenant]]
    tenant_files: frozenset[str]
    """SIREN of every tenant that has a file, readable or not."""

    def complete(self) -> CompleteParts:
        """All parts, known to be there.

        Raises:
            LookupError: one is missing; the caller has faults to report instead.
        """
        parts = (
            self.settings, self.hosts, self.people, self.classes,
            self.segments, self.suppliers, self.equipment, self.registry,
        )  # fmt: skip
        if any(part is None for part in parts):
            raise LookupError("a part of the site could not be read")
        return CompleteParts(*parts)  # type: ignore[arg-type]
