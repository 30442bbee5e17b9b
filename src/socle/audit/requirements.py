"""The 278 requirements of SecNumCloud 3.2 in our own words, from ``policies/catalogue/``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from socle.audit.model import ExpectedEvidence, Requirement
from socle.paths import project_root
from socle.site.document import Fault, SiteErrors, read
from socle.site.messages import faults_of

FILE = "policies/catalogue/secnumcloud-3.2.yml"


class _Entry(BaseModel):
    """One requirement as the file has it."""

    model_config = ConfigDict(extra="forbid")

    section: str = Field(min_length=1)
    fr: str = Field(min_length=1)
    en: str = Field(min_length=1)
    modality: str
    automation: str
    scope: str
    evidence: ExpectedEvidence | None = None


class _Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid")

    chapters: dict[str, str]
    requirements: dict[str, _Entry]


@cache
def chapters() -> Mapping[str, str]:
    """Titles of the chapters by number, in French."""
    return MappingProxyType(_file(project_root() / FILE).chapters)


@cache
def load() -> Mapping[str, Requirement]:
    """The requirements by id, in the order of the referential.

    Raises:
        SiteErrors: every fault of the file with its line.
    """
    return read_file(project_root() / FILE)


def read_file(path: Path) -> Mapping[str, Requirement]:
    """As ``load``, of a file of one's own."""
    return MappingProxyType(
        {
            name: Requirement(
                id=name,
                section_title=entry.section,
                summary_fr=entry.fr,
                summary_en=entry.en,
                **entry.model_dump(include={"modality", "automation", "scope", "evidence"}),
            )
            for name, entry in _file(path).requirements.items()
        }
    )


def _file(path: Path) -> _Catalogue:
    document = read(path)
    faults: list[Fault] = list(document.faults)
    if not faults:
        try:
            return _Catalogue.model_validate(document.root)
        except ValidationError as error:
            faults = list(faults_of(document, _Catalogue, error))
    raise SiteErrors(faults)
