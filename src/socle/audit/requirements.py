"""The 278 requirements of SecNumCloud 3.2 in our own words, from ``policies/catalogue/``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from socle.audit.model import Requirement
from socle.paths import project_root
from socle.site.document import read

FILE = "policies/catalogue/secnumcloud-3.2.yml"


@cache
def chapters() -> Mapping[str, str]:
    """Titles of the chapters by number, in French."""
    return MappingProxyType(dict(read(project_root() / FILE).root["chapters"]))


@cache
def load() -> Mapping[str, Requirement]:
    """The requirements by id, in the order of the referential."""
    root = read(project_root() / FILE).root["requirements"]
    return MappingProxyType(
        {
            name: Requirement(
                id=name,
                section_title=entry["section"],
                summary_fr=entry.get("fr", ""),
                summary_en=entry["en"],
                modality=entry["modality"],
                automation=entry["automation"],
                scope=entry["scope"],
                evidence=entry.get("evidence"),
            )
            for name, entry in root.items()
        }
    )
