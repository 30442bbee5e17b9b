"""What changed between two audits: worse is told, better is told, the same is silent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from socle.audit import controls
from socle.audit.changes import Changes, alarm, changes, told
from socle.audit.evaluating import evaluate
from socle.audit.model import Audit, Control, Facts, Finding, Judgement, Status
from socle.audit.mutations import mutated
from tests.unit.audit_golden import golden

BROKEN = "ssh-root-login"


@pytest.fixture(scope="module")
def known() -> Mapping[str, Control]:
    return controls.load()


@cache
def good() -> Audit:
    return evaluate(golden("lab"))


def broken(known: Mapping[str, Control]) -> Audit:
    return evaluate(mutated(known[BROKEN], golden("lab")))


def without(facts: Facts, name: str) -> Facts:
    """As if a fact could not be read."""
    unread = tuple(
        fact.model_copy(update={"value": None, "problem": "coupé"}) if fact.name == name else fact
        for fact in facts.facts
    )
    return facts.model_copy(update={"facts": unread})


def status(found: Changes, control: str) -> Status | None:
    return next(change.now for change in found.changes if change.control == control)


def test_the_same_facts_change_nothing(known: Mapping[str, Control]) -> None:
    found = changes(good(), evaluate(golden("lab")))
    assert not found.worse
    assert list(told(found, known)) == ["Rien n’a changé."]
    assert list(alarm(found, known)) == []


def test_what_turned_red_is_told_with_its_place_and_alarms(known: Mapping[str, Control]) -> None:
    found = changes(good(), broken(known))
    assert found.worse
    assert status(found, BROKEN) is Status.NON_CONFORME
    lines = list(told(found, known))
    assert lines[0] == f"Devenu non conforme ({len(found.of(Status.NON_CONFORME))}) :"
    assert any(BROKEN in line and "avant : conforme" in line for line in lines)
    subject = golden("lab").of("host.sshd")
    assert any(line.strip().split(" ")[0] in subject for line in lines)
    alarms = list(alarm(found, known))
    assert [line for line in alarms if BROKEN in line]
    # An alert leaves the platform: where exactly stays in the bundle.
    assert not [line for line in alarms if "attendu" in line or "trouvé" in line]


def test_what_turned_green_is_told_without_an_alarm(known: Mapping[str, Control]) -> None:
    found = changes(broken(known), good())
    assert not found.worse
    assert status(found, BROKEN) is Status.CONFORME
    assert next(told(found, known)).startswith("Devenu conforme")
    assert list(alarm(found, known)) == []


def test_a_proof_that_is_lost_alarms(known: Mapping[str, Control]) -> None:
    found = changes(good(), evaluate(without(golden("lab"), "host.sshd")))
    assert found.worse
    assert status(found, BROKEN) is Status.NOT_EVALUATED
    assert [line for line in alarm(found, known) if line.startswith(f"Devenu non évalué : {BROKEN}")]


def test_what_the_later_audit_did_not_ask_for_is_told_without_an_alarm(known: Mapping[str, Control]) -> None:
    facts = golden("lab")
    expected = {name: subjects for name, subjects in facts.expected.items() if name != "host.sshd"}
    kept = tuple(fact for fact in facts.facts if fact.name != "host.sshd")
    found = changes(good(), evaluate(facts.model_copy(update={"expected": expected, "facts": kept})))
    assert not found.worse
    assert status(found, BROKEN) is Status.NOT_EVALUATED
    assert next(told(found, known)).startswith("Devenu non évalué")


def one(*findings: tuple[str, str], status: Status = Status.NON_CONFORME, control: str = BROKEN) -> Audit:
    found = tuple(Finding(subject=place, expected="no", found=seen) for place, seen in findings)
    judgement = Judgement(control=control, status=status, read=1, findings=found)
    return good().model_copy(update={"judgements": (judgement,)})


def test_red_in_one_more_place_alarms_and_another_number_does_not(known: Mapping[str, Control]) -> None:
    spread = changes(one(("ctl1", "3 jours")), one(("ctl1", "4 jours"), ("cmp1", "1 jour")))
    assert spread.worse
    assert [change.findings for change in spread.changes] == [("cmp1 : attendu no, trouvé 1 jour",)]
    assert "nouveaux écarts" in next(alarm(spread, known))
    assert not changes(one(("ctl1", "3 jours")), one(("ctl1", "4 jours"))).changes


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["/bin/ls"], ["/bin/ls", "ALL"]),
        (["/bin/ls"], ["ALL"]),
        (["tcp 22"], ["tcp 4444"]),
        (["deux facteurs exigés"], ["deux facteurs exigés"] * 30),
        (["7"], ["7", "8"]),
    ],
)
@pytest.mark.parametrize("status", [Status.NON_CONFORME, Status.WAIVED])
def test_more_or_other_findings_at_one_place_alarm(
    known: Mapping[str, Control], before: list[str], now: list[str], status: Status
) -> None:
    first, then = (one(*(("ctl1", seen) for seen in found), status=status) for found in (before, now))
    assert changes(first, then).worse
    assert list(alarm(changes(first, then), known))
    assert not changes(then, then).changes


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("2026-11-28T03:00:00+00:00", "2026-11-29T03:00:00.5Z"),
        ("12.5 h", "36.5 h"),
        ("3 écarts", "4 écarts"),
        ("périmé le 01/11/2026, il y a 9 jours", "périmé le 02/11/2026, il y a 10 jours"),
    ],
)
def test_what_only_grew_older_changes_nothing(before: str, now: str) -> None:
    assert not changes(one(("ctl1", before)), one(("ctl1", now))).changes


def test_a_host_cannot_say_that_it_was_not_asked() -> None:
    facts = golden("lab")
    silent = tuple(
        fact.model_copy(
            update={"value": None, "problem": "sshd : lecture non faite (sur le nuage en service)"}
        )
        if fact.name == "host.sshd"
        else fact
        for fact in facts.facts
    )
    assert changes(good(), evaluate(facts.model_copy(update={"facts": silent}))).worse


def test_a_control_that_left_the_audit_alarms_only_if_it_was_green() -> None:
    other = one(control="another", status=Status.CONFORME)
    assert changes(one(status=Status.CONFORME), other).worse
    left = changes(one(("ctl1", "x")), other)
    assert not left.worse
    assert {change.now for change in left.changes} == {None, Status.CONFORME}


def test_a_new_fault_of_a_register_alarms(known: Mapping[str, Control]) -> None:
    wrong = good().model_copy(update={"faults": ("dérogation échue",)})
    found = changes(good(), wrong)
    assert found.worse
    assert list(alarm(found, known)) == ["Registre : dérogation échue"]
    assert not changes(wrong, good()).worse
