"""Waivers and evidence: people that they name exist, and documents are the ones that were signed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from socle.site.document import Fault
from socle.site.evidence import Evidence
from socle.site.messages import suggestion
from socle.site.parts import Part
from socle.site.people import People
from socle.site.waivers import Waiver


def waivers_are_signed_by_people(waivers: dict[str, Part[Waiver]], people: Part[People]) -> Iterator[Fault]:
    """A waiver is the decision of a person of the site, and another one answers for the repair."""
    for part in waivers.values():
        yield from _nobody(part, ("owner", "decided_by"), people)


def evidence_is_signed_by_people(
    evidence: dict[str, Part[Evidence]], people: Part[People]
) -> Iterator[Fault]:
    """People of the site own and sign documents."""
    for part in evidence.values():
        yield from _nobody(part, ("owner", "signed_by"), people)


def documents_are_the_ones_that_were_signed(
    folder: Path, evidence: dict[str, Part[Evidence]]
) -> Iterator[Fault]:
    """A document of the site folder is there, and has the hash that its entry says."""
    for part in evidence.values():
        for key in ("file", "signature"):
            name = getattr(part.value, key)
            if name is None:
                continue
            path = (folder / name).resolve()
            if not path.is_relative_to(folder) or not path.is_file():
                yield part.fault(key, what=f"`{name}` is not there", expected="a file below the site folder")
            elif key == "file" and (found := _digest(path)) != part.value.sha256:
                yield part.fault(
                    "sha256",
                    what=f"`{name}` is not the document that was signed",
                    expected=f"the hash {found}",
                    write="let it be signed again, or bring the document back",
                )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _nobody[T: BaseModel](part: Part[T], keys: tuple[str, ...], people: Part[People]) -> Iterator[Fault]:
    known = list(people.value.people)
    for key in keys:
        login = getattr(part.value, key)
        if login not in known:
            yield part.fault(
                key,
                what=f"`{login}` is nobody of people.yml",
                expected="a login of people.yml",
                write=suggestion(login, known) or "name a person of the site",
            )


CHECKS = (
    waivers_are_signed_by_people,
    evidence_is_signed_by_people,
    documents_are_the_ones_that_were_signed,
)
