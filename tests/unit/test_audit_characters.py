"""What is read on hosts is anybody's text: it moves no cursor and breaks no form of a report."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from socle.audit import controls
from socle.audit.evaluating import evaluate
from socle.audit.judging import judge
from socle.audit.model import Fact, Finding, Judgement, Status
from socle.audit.report import content, junit
from socle.cli import auditing
from tests.unit.audit_golden import one_pass

HIDING = "rouge\x1b[1A\x1b[2K\x1b[8m\x9b2K\u202e"


def finding(found: str) -> Judgement:
    return Judgement(
        control="ssh-root-login",
        status=Status.NON_CONFORME,
        findings=(Finding(subject=found, expected="rien", found=found),),
        reason=found,
    )


def test_no_finding_moves_the_cursor_of_who_reads_it() -> None:
    screen = io.StringIO()
    Console(file=screen, force_terminal=True, width=200).print(auditing._judgements([finding(HIDING)]))
    assert "[2K" in screen.getvalue()
    for moving in ("\x1b[2K", "\x1b[1A", "\x1b[8m", "\x9b", "\u202e"):
        assert moving not in screen.getvalue()


def test_what_a_rule_tells_holds_no_hidden_character() -> None:
    read = Fact(name="host.sshd", subject="ctl1", value={"permitrootlogin": HIDING})
    told = judge(controls.named("ssh-root-login"), one_pass([read]))
    text = told.model_dump_json()
    assert "rouge" in text
    assert "\\u001b" not in text
    assert "\x9b" not in text


@pytest.mark.parametrize("bad", ["\x00", "\x0b", "\x1b", "\x7f", "\x9b", "\ufffe", "\uffff", "\udc80"])
def test_a_suite_of_tests_is_xml_whatever_was_read(bad: str) -> None:
    facts = one_pass([])
    judged = evaluate(facts).model_copy(update={"judgements": (finding(f"net{bad}x é😀"),)})
    shown = content(judged, facts, controls.load(), {}, {})
    root = ET.fromstring(junit.render(shown))  # noqa: S314 - our own
    assert "".join(root.itertext()).count("net\ufffdx é😀") == 2
