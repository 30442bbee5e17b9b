"""Waivers and evidence: people that they name exist, and documents are the ones that were signed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from socle.site.document import Fault
from socle.site.evidence import Evidence
from socle.site.messages import suggestion
from socle.site.parts import Part
from socle.site.people import People
from socle.site.waivers import Waiver

RULE_ELSEWHERE = re.compile(r"I[1-9][0-9]?|anssi-bp-028-r[1-9][0-9]?")
"""Rules that the site's own checks and the hardening judge."""


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
            try:
                found = _digest(path) if path.is_relative_to(folder) and path.is_file() else None
            except OSError as error:
                what = f"`{name}` cannot be read: {error.strerror or type(error).__name__}"
                yield part.fault(key, what=what, expected="a file that you may read")
                continue
            if found is None:
                yield part.fault(key, what=f"`{name}` is not there", expected="a file below the site folder")
            elif key == "file" and found != part.value.sha256:
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


def waivers_name_a_rule(waivers: dict[str, Part[Waiver]]) -> Iterator[Fault]:
    """A waiver of a rule that nobody judges would be looked for in vain when the rule turns red."""
    for part in waivers.values():
        rule = part.value.rule
        if not RULE_ELSEWHERE.fullmatch(rule) and rule not in (known := _controls()):
            yield part.fault(
                "rule",
                what=f"no rule is `{rule:.40}`",
                expected="a control of the audit, a rule of segments (I4) or of BP-028 (anssi-bp-028-r58)",
                write=suggestion(rule, known) or "correct the rule",
            )


def evidence_names_requirements(evidence: dict[str, Part[Evidence]]) -> Iterator[Fault]:
    """Evidence for a requirement that SecNumCloud 3.2 does not have proves nothing."""
    for part in evidence.values():
        for index, name in enumerate(part.value.requirements):
            if name not in (known := _requirements()):
                yield part.fault(
                    "requirements",
                    index,
                    what=f"`{name:.40}` is no requirement of SecNumCloud 3.2",
                    expected="an id of `socle audit coverage`",
                    write=suggestion(name, known) or "correct the id",
                )


def _controls() -> list[str]:
    from socle.audit import controls  # noqa: PLC0415 - it reads files by this package, and loads slowly

    return list(controls.load())


def _requirements() -> list[str]:
    from socle.audit import requirements  # noqa: PLC0415 - as above

    return list(requirements.load())


CHECKS = (
    waivers_are_signed_by_people,
    evidence_is_signed_by_people,
    documents_are_the_ones_that_were_signed,
    waivers_name_a_rule,
    evidence_names_requirements,
)
