"""What people add to what machines prove: evidence that is current, waivers that run. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from socle.audit.model import Control, Facts, Judgement, Requirement, Status
from socle.audit.verdicts import Register

PARIS: Final = ZoneInfo("Europe/Paris")
WAIVERS, EVIDENCE = "register.waivers", "register.evidence"
OTHER_RULES: Final = re.compile(r"I\d+|anssi-bp-028-[a-z0-9-]+")
"""Waivers of the site's files and of hosts' hardening, which are judged where these are."""


def today(facts: Facts) -> date:
    """The day of the facts in Paris: a date is good until the end of that day there."""
    return facts.ended.astimezone(PARIS).date()


def waived(
    controls: Mapping[str, Control], judgements: Collection[Judgement], facts: Facts
) -> tuple[tuple[Judgement, ...], tuple[str, ...]]:
    """The judgements, those apart that a waiver covers wholly; what is wrong with waivers, in French."""
    found = _value(facts, WAIVERS)
    faults = [fault for name, waiver in found.items() for fault in _wrong(name, waiver, controls, facts)]
    running = {
        name: waiver
        for name, waiver in found.items()
        if waiver["rule"] in controls
        and controls[waiver["rule"]].waivable
        and date.fromisoformat(waiver["start"]) <= today(facts) <= date.fromisoformat(waiver["end"])
    }
    wide = {rule for rule in controls if _for_all(rule, running, controls, facts)}
    faults += [
        f"derogations/{name}.yml : {waiver['rule']} n’a plus aucun sujet sans dérogation ; rien n’est couvert"
        for name, waiver in running.items()
        if waiver["rule"] in wide
    ]
    running = {name: waiver for name, waiver in running.items() if waiver["rule"] not in wide}
    return tuple(_covered(judgement, running) for judgement in judgements), tuple(faults)


def _subjects(rule: str, controls: Mapping[str, Control], facts: Facts) -> set[str]:
    """The subjects that a control judges; none where its fact was not read."""
    return {subject for need in controls[rule].needs[:1] for subject in facts.expected.get(need, ())}


def _for_all(
    rule: str, running: Mapping[str, Mapping[str, Any]], controls: Mapping[str, Control], facts: Facts
) -> bool:
    """Whether waivers name, together, each of the several subjects of a control."""
    known = _subjects(rule, controls, facts)
    named = {s for waiver in running.values() if waiver["rule"] == rule for s in waiver["applies_to"]}
    return len(known) > 1 and known <= named


def _covered(judgement: Judgement, running: Mapping[str, Mapping[str, Any]]) -> Judgement:
    own = {name: waiver for name, waiver in running.items() if waiver["rule"] == judgement.control}
    subjects = {finding.subject.partition(" — ")[0] for finding in judgement.findings}
    allowed = {subject for waiver in own.values() for subject in waiver["applies_to"]}
    if judgement.status is not Status.NON_CONFORME or not subjects <= allowed:
        return judgement
    told = [f"dérogation {name} jusqu’au {_french(waiver['end'])}" for name, waiver in own.items()]
    reason = " ; ".join([*told, *([judgement.reason] if judgement.reason else [])])
    return judgement.model_copy(update={"status": Status.WAIVED, "reason": reason})


def _wrong(
    name: str, waiver: Mapping[str, Any], controls: Mapping[str, Control], facts: Facts
) -> Iterator[str]:
    rule, end = str(waiver["rule"]), date.fromisoformat(waiver["end"])
    where = f"derogations/{name}.yml"
    if end < today(facts):
        yield f"{where} : dérogation échue le {_french(waiver['end'])} ; la renouveler ou la retirer"
    if rule in controls:
        if not controls[rule].waivable:
            yield f"{where} : le contrôle {rule} n’admet pas de dérogation"
        known = _subjects(rule, controls, facts)
        for subject in sorted(set(waiver["applies_to"]) - known) if known else ():
            yield f"{where} : {subject} n’est pas un sujet du contrôle {rule} ({', '.join(sorted(known))})"
    elif not OTHER_RULES.fullmatch(rule):
        yield f"{where} : {rule} n’est ni un contrôle de l’audit, ni une règle du site ou de BP-028"


def registered(requirements: Mapping[str, Requirement], facts: Facts) -> tuple[Register, tuple[str, ...]]:
    """The register of evidence on the day of the facts, and what is wrong with it, in French."""
    current: dict[str, tuple[str, ...]] = {}
    missing: dict[str, str] = {}
    unseen: Counter[str] = Counter()
    faults = []
    for name, entry in _value(facts, EVIDENCE).items():
        where = f"evidence/{name}.yml"
        if entry["signature"] not in {"valid", "absent"}:
            faults.append(f"{where} : signature non valable ({entry['signature']})")
        for requirement in entry["requirements"]:
            if requirement not in requirements:
                faults.append(f"{where} : {requirement} n’est pas une exigence de SecNumCloud 3.2")
            elif why := _not_current(entry, requirements[requirement], today(facts)):
                missing[requirement] = f"{where} : {why}"
            else:
                seen = entry.get("file") is not None
                unseen[requirement] += not seen
                how = "" if seen else "déclarée, non vue, "
                told = f"{entry['title']} ({where}, {how}SHA-256 {entry['sha256'][:12]}…)"
                current[requirement] = (*current.get(requirement, ()), told)
    missing = {name: why for name, why in missing.items() if name not in current}
    return Register(current, missing, unseen), tuple(faults)


def _not_current(entry: Mapping[str, Any], requirement: Requirement, day: date) -> str | None:
    begin, end = date.fromisoformat(entry["effective"]), date.fromisoformat(entry["valid_until"])
    if entry["signature"] not in {"valid", "absent"}:
        return "signature non valable"
    if requirement.evidence is None:
        return "l’exigence se prouve par la machine"
    if day < begin:
        return f"preuve à venir, au {_french(entry['effective'])}"
    if end < day:
        return f"preuve périmée depuis le {_french(entry['valid_until'])}"
    oldest = begin + timedelta(days=requirement.evidence.days)
    if oldest < day:
        days = requirement.evidence.days
        return f"preuve trop ancienne : {days} jours au plus, donc jusqu’au {oldest:%d/%m/%Y}"
    return None


def _value(facts: Facts, name: str) -> Mapping[str, Any]:
    """The register of a site; empty when it was not read: nothing is waived then, no evidence counts."""
    values = [fact.value for fact in facts.of(name).values() if fact.problem is None]
    return values[0] if values and isinstance(values[0], Mapping) else {}


def _french(day: str) -> str:
    return f"{datetime.fromisoformat(day):%d/%m/%Y}"
