"""JUnit XML, for continuous integration: one test case for each control, in suites by chapter."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Final

from socle.audit.model import Judgement, Status
from socle.audit.report.content import Content

FORBIDDEN: Final = re.compile("[^\t\n\u0020-\u007e\u0085\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(shown: Content) -> bytes:
    """The controls as test cases: not in conformity fails, not evaluated is skipped with its reason."""
    root = ET.Element("testsuites", name=f"SecNumCloud 3.2, {shown.audit.site}")
    suites: dict[str, ET.Element] = {}
    for judgement in shown.audit.judgements:
        control = shown.controls[judgement.control]
        chapter = control.requirements[0].partition(".")[0]
        name = f"{chapter} {shown.chapters.get(chapter, '')}".strip()
        suite = suites.get(chapter)
        if suite is None:
            suite = suites[chapter] = ET.SubElement(root, "testsuite", name=name)
        case = ET.SubElement(
            suite, "testcase", classname=f"secnumcloud.{'+'.join(control.requirements)}", name=control.id
        )
        _result(case, judgement, control.title_fr)
    for suite in (root, *suites.values()):
        cases = list(suite.iter("testcase"))
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
        suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
        suite.set("errors", "0")
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _result(case: ET.Element, judgement: Judgement, title: str) -> None:
    if judgement.status is Status.NON_CONFORME:
        lines = [f"{f.subject} : attendu {f.expected}, trouvé {f.found}" for f in judgement.findings]
        ET.SubElement(case, "failure", message=_clean(title), type="non conforme").text = _clean(
            "\n".join(lines)
        )
    elif judgement.status is not Status.CONFORME:
        message = f"{judgement.status.value} : {judgement.reason or ''}"
        ET.SubElement(case, "skipped", message=_clean(message))


def _clean(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold (2.2, Char), nor those that move a cursor."""
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
