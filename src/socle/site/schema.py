"""JSON Schemas of the site files, generated from the models: ``python -m socle.site.schema`` writes them.

An editor finds the schema of a file by its first line, ``# yaml-language-server: $schema=…``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from socle.catalogue.model import Component
from socle.paths import project_root
from socle.site.classes import Classes
from socle.site.evidence import Evidence
from socle.site.hosts import HostsFile
from socle.site.people import People
from socle.site.records import REGISTERS
from socle.site.registry import Registry
from socle.site.segments import Segments
from socle.site.settings import Settings
from socle.site.suppliers import Equipment, Suppliers
from socle.site.tenant import Tenant
from socle.site.waivers import Waiver
from socle.supply.statements import StatementsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MODELS: dict[str, type[BaseModel]] = {
    "site": Settings,
    "hosts": HostsFile,
    "people": People,
    "classes": Classes,
    "segments": Segments,
    "suppliers": Suppliers,
    "equipment": Equipment,
    "registry": Registry,
    "tenant": Tenant,
    "derogation": Waiver,
    "evidence": Evidence,
    "vulnerabilities": StatementsFile,
    **{f"records-{name}": model for name, model in REGISTERS.items()},
}


def folder() -> Path:
    """Where the schemas are kept."""
    return project_root() / "docs" / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by the name of its file."""
    catalogue = TypeAdapter(dict[str, Component]).json_schema()
    generated = {name: model.model_json_schema() for name, model in MODELS.items()} | {"catalogue": catalogue}
    return {
        f"{name}.schema.json": {"$schema": DIALECT, **_closed(schema)} for name, schema in generated.items()
    }


def _closed(schema: Any) -> Any:
    """The same schema, in which a name that matches no pattern is refused (pydantic leaves it open)."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return closed | {"additionalProperties": False} if "patternProperties" in closed else closed


def rendered(schema: dict[str, Any]) -> str:
    """A schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def stale() -> list[Path]:
    """Schema files that differ from what the models say, or that no model makes any more."""
    wanted = {folder() / name: rendered(schema) for name, schema in schemas().items()}
    present = set(folder().glob("*.schema.json"))
    differing = [
        path for path, text in wanted.items() if path not in present or path.read_text("utf-8") != text
    ]
    return sorted([*differing, *(present - wanted.keys())])


def write() -> list[Path]:
    """Bring the folder up to date; returns what was written or removed."""
    changed = stale()
    wanted = schemas()
    folder().mkdir(parents=True, exist_ok=True)
    for path in changed:
        if path.name in wanted:
            path.write_text(rendered(wanted[path.name]), "utf-8")
        else:
            path.unlink()
    return changed


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in write())
