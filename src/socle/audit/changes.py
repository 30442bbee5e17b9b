"""What changed between two audits of a site, for whom it concerns the next morning. Pure; told in French."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socle.audit.bundle import bundles, kind_of, read_audit
from socle.audit.model import Audit, Control, Finding, Judgement, Status
from socle.errors import SocleError

SHOWN = 5
"""New findings of a control that are told one by one."""

PASSING: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?"
    r"|\b\d\d/\d\d/\d{4}\b"
    r"|\b\d+(?:[.,]\d+)? (?:jours?|heures?|minutes?|secondes?|[hjs])\b"
)
"""Moments and spans of time: they change every day."""
NUMBER: Final = re.compile(r"-?\d+(?:[.,]\d+)?(?: [^\W\d]+| %)?")


@dataclass(frozen=True)
class Change:
    """One control that is judged otherwise than before, or one more place where it does not hold.

    Args:
        before, now: its status; None where it was not, or is no longer, among the controls.
        findings: what was not found before, in French.
        asked: false where the later audit did not read what it takes, as one without probes.
    """

    control: str
    before: Status | None
    now: Status | None
    findings: tuple[str, ...] = ()
    asked: bool = True

    @property
    def worse(self) -> bool:
        """Red, red in more places (under a waiver, too), or no longer proved."""
        if self.now is Status.NON_CONFORME:
            return self.before is not Status.NON_CONFORME or bool(self.findings)
        if self.now is Status.WAIVED:
            return self.before in {Status.NON_CONFORME, Status.WAIVED} and bool(self.findings)
        lost = self.now in {Status.NOT_EVALUATED, None}
        return self.before is Status.CONFORME and lost and self.asked


@dataclass(frozen=True)
class Changes:
    """All that changed, by what it became; ``faults`` are new ones of waivers and evidence."""

    changes: tuple[Change, ...]
    faults: tuple[str, ...] = ()

    @property
    def worse(self) -> bool:
        """Whether somebody has to look."""
        return bool(self.faults) or any(change.worse for change in self.changes)

    def of(self, status: Status | None) -> list[Change]:
        """Those that became so."""
        return [change for change in self.changes if change.now is status]


def changes(before: Audit, now: Audit) -> Changes:
    """What the later of two audits says otherwise."""
    known = {judgement.control: judgement for judgement in before.judgements}
    found = {judgement.control: judgement for judgement in now.judgements}
    every = {name: _change(name, known.get(name), found.get(name)) for name in sorted(known.keys() | found)}
    return Changes(
        tuple(change for change in every.values() if change.before is not change.now or change.findings),
        tuple(sorted(set(now.faults) - set(before.faults))),
    )


def _change(name: str, before: Judgement | None, now: Judgement | None) -> Change:
    return Change(
        name,
        before.status if before else None,
        now.status if now else None,
        tuple(_new_findings(before, now)) if now else (),
        asked=now.asked if now else True,
    )


def _new_findings(before: Judgement | None, now: Judgement) -> Iterator[str]:
    """Those of which there are more than before; what only became older or another number is the same."""
    known = Counter(_lasting(finding) for finding in before.findings) if before else Counter()
    for finding in now.findings:
        lasting = _lasting(finding)
        if known[lasting]:
            known[lasting] -= 1
        else:
            yield f"{finding.subject} : attendu {finding.expected}, trouvé {finding.found}"


def _lasting(finding: Finding) -> tuple[str, str, str]:
    found = PASSING.sub("#", finding.found)
    return finding.subject, finding.expected, "#" if NUMBER.fullmatch(found) else found


TITLES: Mapping[Status | None, str] = {
    Status.NON_CONFORME: "Devenu non conforme",
    Status.NOT_EVALUATED: "Devenu non évalué",
    Status.CONFORME: "Devenu conforme",
    Status.WAIVED: "Passé sous dérogation",
    None: "Sorti de l’audit",
}


def told(found: Changes, controls: Mapping[str, Control]) -> Iterator[str]:
    """The lines that a person reads, in French: what is worse first."""
    for fault in found.faults:
        yield f"Registre : {fault}"
    for status, title in TITLES.items():
        if these := found.of(status):
            yield f"{title} ({len(these)}) :"
            for change in these:
                yield from _lines(change, controls)
    if not found.changes and not found.faults:
        yield "Rien n’a changé."


def _lines(change: Change, controls: Mapping[str, Control]) -> Iterator[str]:
    yield f"  {named(change, controls)}"
    yield from (f"    {finding}" for finding in change.findings[:SHOWN])
    if len(change.findings) > SHOWN:
        yield f"    et {len(change.findings) - SHOWN} autres écarts"


def named(change: Change, controls: Mapping[str, Control]) -> str:
    """A control with its title and what it was before."""
    title = f" — {controls[change.control].title_fr}" if change.control in controls else ""
    was = change.before.value if change.before else "absent"
    more = "nouveaux écarts" if change.before is change.now else f"avant : {was}"
    return f"{change.control}{title} ({more})"


def compared(chain: Path, since: str | None = None) -> tuple[Path, Path]:
    """The last bundle of a chain and the one to compare it with: the last before it of the same kind.

    Args:
        since: number or name of another one, of the same kind.

    Raises:
        SocleError: there are no two, or no such one.
    """
    there = bundles(chain)
    if not there:
        raise SocleError("no bundles are there", where=str(chain), write="run `socle audit live` first")
    last, kind = there[-1], kind_of(there[-1])
    if since is not None:
        name = since.rstrip("/").rpartition("/")[2]
        wanted = [path for path in there if name in {path.name, _number(path)}]
        if not wanted or kind_of(wanted[0]) != kind:
            raise SocleError(
                f"no bundle {since} of the kind {kind}",
                where=str(chain),
                expected=f"the name or the number of one before {last.name}",
            )
        return wanted[0], last
    earlier = [path for path in there[:-1] if kind_of(path) == kind]
    if not earlier:
        raise SocleError(
            f"holds one audit of the kind {kind}",
            where=str(chain),
            write=f"run `socle audit {kind}` again",
        )
    return earlier[-1], last


def between(before: Path, now: Path) -> Changes:
    """What changed between two bundles.

    Raises:
        SocleError: one of them is no bundle of this version of the kit.
    """
    return changes(read_audit(before), read_audit(now))


def _number(bundle: Path) -> str:
    return str(int(bundle.name.partition("-")[0]))


def alarm(found: Changes, controls: Mapping[str, Control]) -> Iterator[str]:
    """One line for each thing that is worse, without the places where: these stay in the bundle."""
    yield from (f"Registre : {fault}" for fault in found.faults)
    for change in found.changes:
        if change.worse:
            yield f"{TITLES[change.now]} : {named(change, controls)}"
