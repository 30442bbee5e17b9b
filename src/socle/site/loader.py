"""Read a site folder into a checked ``Site``, or say everything that is wrong with it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from socle.site.addresses import allot
from socle.site.checks import run
from socle.site.classes import Classes
from socle.site.document import Document, Fault, SiteErrors, read
from socle.site.evidence import Evidence
from socle.site.hosts import HostsFile, hosts_of
from socle.site.messages import faults_of
from socle.site.model import Site
from socle.site.parts import Part, Parts
from socle.site.people import People
from socle.site.records import REGISTERS
from socle.site.registry import Registry
from socle.site.segments import Segments
from socle.site.settings import Settings
from socle.site.suppliers import Equipment, Suppliers
from socle.site.tenant import Tenant
from socle.site.waivers import Waiver


@dataclass
class _Reading:
    """What was read so far and what was wrong with it."""

    folder: Path
    faults: list[Fault] = field(default_factory=list)

    def files(self, name: str) -> list[Path]:
        """The YAML files of a sub-folder; none when there is no such folder."""
        folder = self.folder / name
        try:
            return sorted(path for path in folder.iterdir() if path.suffix in (".yml", ".yaml"))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            what = f"the folder cannot be read: {error.strerror or type(error).__name__}"
            self.faults.append(Fault(folder, 1, what, "a folder that you may read"))
            return []

    def part[T: BaseModel](self, name: str, model: type[T]) -> Part[T] | None:
        """One file of the site; none when something in it is wrong."""
        return self.typed(read(self.folder / name), model)

    def optional[T: BaseModel](self, name: str, model: type[T]) -> Part[T] | None:
        """A file that may be missing: then the model's defaults."""
        if not (self.folder / name).exists():
            return Part(model(), Document(self.folder / name))
        return self.part(name, model)

    def typed[T: BaseModel](self, document: Document, model: type[T]) -> Part[T] | None:
        if document.faults and document.root is None:
            self.faults += document.faults
            return None
        if document.root is None:
            self.faults.append(
                document.fault((), "the file is empty", "a mapping (`key: value`)", "fill it in")
            )
            return None
        found = list(document.faults)
        try:
            value = model.model_validate(document.root)
        except ValidationError as error:
            found += faults_of(document, model, error)
        self.faults += found
        return None if found else Part(value, document)


def load(folder: Path) -> Site:
    """Read and check a site folder.

    Raises:
        SiteErrors: every error of every file, sorted.
    """
    folder = Path(folder).resolve()
    try:
        there, readable = folder.is_dir(), os.access(folder, os.R_OK | os.X_OK)
    except OSError:
        there, readable = True, False
    if not there:
        raise SiteErrors(
            [Fault(folder, 1, "no such site folder", "inventories/<site>", "name an existing folder")]
        )
    if not readable:
        raise SiteErrors([Fault(folder, 1, "the folder cannot be read", "a folder that you may read")])
    with _collector_paused():
        reading = _Reading(folder)
        parts = _parts(reading)
        reading.faults += run(parts)
        if reading.faults:
            raise SiteErrors(reading.faults)
        return _site(folder, parts)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without the cycle collector, which would walk the growing heap again and again: half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parts(reading: _Reading) -> Parts:
    return Parts(
        folder=reading.folder,
        settings=reading.part("site.yml", Settings),
        hosts=reading.part("hosts.yml", HostsFile),
        people=reading.part("people.yml", People),
        classes=reading.part("classes.yml", Classes),
        segments=reading.part("segments.yml", Segments),
        suppliers=reading.part("suppliers.yml", Suppliers),
        equipment=reading.part("equipment.yml", Equipment),
        registry=reading.optional("registry.yml", Registry),
        waivers=_folder(reading, "derogations", Waiver),
        evidence=_folder(reading, "evidence", Evidence),
        records=_records(reading),
        tenants=_folder(reading, "tenants", Tenant),
        tenant_files=frozenset(path.stem for path in reading.files("tenants")),
    )


def _folder[T: BaseModel](reading: _Reading, name: str, model: type[T]) -> dict[str, Part[T]]:
    """Every YAML file of a sub-folder by its name; the wrong ones only leave their faults."""
    found: dict[str, Part[T]] = {}
    for path in reading.files(name):
        part = reading.typed(read(path), model)
        if part:
            found[path.name] = part
    return found


def _records(reading: _Reading) -> dict[str, Part[BaseModel]]:
    """The registers that the site keeps; a file of another name is no register."""
    found: dict[str, Part[BaseModel]] = {}
    for path in reading.files("records"):
        model = REGISTERS.get(path.stem)
        if model is None:
            names = ", ".join(f"{name}.yml" for name in REGISTERS)
            reading.faults.append(Fault(path, 1, "no register has this name", names, "rename the file"))
            continue
        part = reading.typed(read(path), model)
        if part:
            found[path.stem] = part
    return found


def _site(folder: Path, parts: Parts) -> Site:
    complete = parts.complete()
    settings = complete.settings.value
    tenants = {part.value.siren: part.value for part in parts.tenants.values()}
    registry = complete.registry.value
    return Site(
        name=folder.name,
        folder=folder,
        settings=settings,
        hosts=hosts_of(complete.hosts.value, settings.storage.osds),
        people=complete.people.value,
        classes=complete.classes.value,
        segments=complete.segments.value,
        suppliers=complete.suppliers.value.suppliers,
        equipment=complete.equipment.value.equipment,
        waivers={name.rpartition(".")[0]: part.value for name, part in parts.waivers.items()},
        evidence={name.rpartition(".")[0]: part.value for name, part in parts.evidence.items()},
        records={name: getattr(part.value, name) for name, part in parts.records.items()},
        tenants=tenants,
        registry=registry,
        subnets=allot(settings.tenant_pool, tenants, registry),
    )
