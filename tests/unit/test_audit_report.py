"""Reports: the same numbers in every form, valid by its own rules, and a page that fetches nothing."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from odf.opendocument import load as load_ods
from odf.table import Table, TableCell, TableRow
from odf.teletype import extractText
from pypdf import PdfReader
from trestle.oscal import assessment_results, component, poam

from socle.audit import controls, requirements
from socle.audit.evaluating import evaluate
from socle.audit.model import Facts, Status
from socle.audit.mutations import mutated
from socle.audit.report import FORMS, Content, Past, content, html
from socle.audit.rules import conditions
from tests.unit.audit_golden import golden

CHAPTERS = {str(number): f"Chapitre « {number} » & <suite>" for number in range(5, 20)}
type Counts = dict[str, int]


def broken() -> Facts:
    """The lab with one setting broken, so that the report has something of each kind."""
    return mutated(controls.named("supplier-control-outside-eu"), golden("lab"))


@pytest.fixture(scope="module")
def shown() -> Content:
    facts = broken()
    audit = evaluate(facts)
    past = Past(facts.ended - timedelta(days=1), "live", dict.fromkeys(Status, 3))
    return content(
        audit,
        facts,
        controls.load(),
        requirements.load(),
        CHAPTERS,
        title='Lab <script>alert("x")</script>',
        organisation="GIP d’Exemple",
        proof=("00001-20261129T000000Z-live", "0" * 64),
        past=(past,),
    )


def rendered(shown: Content, form: str) -> bytes:
    return FORMS[form][1](shown)


class Rows(HTMLParser):
    """The lines of the grid of a page, and whatever would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.classes: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.tags: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags[tag] += 1
        if "data-statut" in given:
            self.classes[str(given["data-statut"])] += 1
        self.fetched += [str(given[key]) for key in ("src", "data", "srcset") if key in given]
        if tag == "link" or (tag == "a" and not str(given.get("href")).startswith("#")):
            self.fetched.append(str(given.get("href")))


def of_html(text: bytes) -> Counts:
    from socle.audit.report.html import STYLES  # noqa: PLC0415 - the words of the page

    page = Rows()
    page.feed(text.decode())
    return {status.value: page.classes[STYLES[status][0]] for status in Status}


def of_csv(text: bytes) -> Counts:
    lines = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), delimiter=";"))
    return _counts(line[lines[0].index("Statut")] for line in lines[1:])


def of_ods(text: bytes) -> Counts:
    table = load_ods(io.BytesIO(text)).spreadsheet.getElementsByType(Table)[0]
    rows = [
        [extractText(cell) for cell in row.getElementsByType(TableCell)]
        for row in table.getElementsByType(TableRow)
    ]
    return _counts(row[rows[0].index("Statut")] for row in rows[1:])


def of_oscal(text: bytes) -> Counts:
    (result,) = json.loads(text)["assessment-results"]["results"]
    return _counts(
        p["value"] for found in result["findings"] for p in found["props"] if p["name"] == "statut"
    )


def of_ciso_assistant(text: bytes) -> Counts:
    entries = json.loads(text)["requirement_assessments"]
    return _counts(entry["observation"].partition(" : ")[0] for entry in entries)


def _counts(values: Any) -> Counts:
    counted = Counter(values)
    return {status.value: counted[status.value] for status in Status}


READERS: dict[str, Callable[[bytes], Counts]] = {
    "html": of_html,
    "csv": of_csv,
    "ods": of_ods,
    "oscal": of_oscal,
    "ciso-assistant": of_ciso_assistant,
}


@pytest.mark.parametrize("form", READERS)
def test_each_form_has_the_same_numbers_of_requirements(shown: Content, form: str) -> None:
    wanted = {status.value: count for status, count in shown.counts.items()}
    assert wanted[Status.NON_CONFORME.value]
    assert sum(wanted.values()) == 278
    assert READERS[form](rendered(shown, form)) == wanted


def test_the_numbers_of_controls_are_the_same_too(shown: Content) -> None:
    wanted = shown.control_counts
    junit = ET.fromstring(rendered(shown, "junit"))  # noqa: S314 - our own
    assert int(junit.attrib["tests"]) == sum(wanted.values())
    assert int(junit.attrib["failures"]) == wanted[Status.NON_CONFORME]
    assert (
        int(junit.attrib["skipped"])
        == sum(wanted.values()) - wanted[Status.NON_CONFORME] - wanted[Status.CONFORME]
    )
    (run,) = json.loads(rendered(shown, "sarif"))["runs"]
    kinds = Counter(kind for _rule, kind in {(r["ruleId"], r["kind"]) for r in run["results"]})
    assert kinds == {
        name: count
        for name, count in (
            ("fail", wanted[Status.NON_CONFORME]),
            ("pass", wanted[Status.CONFORME]),
            ("open", wanted[Status.NOT_EVALUATED]),
        )
        if count
    }
    items = json.loads(rendered(shown, "oscal-poam"))["plan-of-action-and-milestones"]["poam-items"]
    assert len(items) == len(shown.failures) == wanted[Status.NON_CONFORME]


@pytest.mark.slow
def test_the_paper_says_the_same(shown: Content) -> None:
    pages = PdfReader(io.BytesIO(rendered(shown, "pdf"))).pages
    text = " ".join(" ".join(page.extract_text().split()) for page in pages)
    assert len(pages) > 5
    assert "Ne vaut pas qualification" in text
    for status, count in shown.counts.items():
        told = rf"{status.value}\s*{count}\s*exigence{'s' if count > 1 else ''} sur 278"
        assert re.search(rf"(?<!non )(?<!partiellement ){told}", text)


@pytest.mark.parametrize(
    ("form", "model"),
    [("oscal", assessment_results), ("oscal-components", component), ("oscal-poam", poam)],
)
def test_oscal_is_valid_by_trestles_models(shown: Content, form: str, model: Any) -> None:
    model.Model.model_validate_json(rendered(shown, form))


def test_a_site_without_any_failure_has_valid_oscal_too() -> None:
    facts = golden("lab").model_copy(update={"facts": (), "expected": {}})
    empty = content(evaluate(facts), facts, controls.load(), requirements.load(), CHAPTERS)
    poam.Model.model_validate_json(rendered(empty, "oscal-poam"))
    assert b"Aucun contr\xc3\xb4le \xc3\xa9valu\xc3\xa9 n\xe2\x80\x99est en \xc3\xa9cart" in rendered(
        empty, "html"
    )
    assert not empty.counts[Status.CONFORME]


def test_the_page_holds_all_that_it_shows_and_nothing_of_a_site_becomes_markup(shown: Content) -> None:
    text = rendered(shown, "html").decode()
    page = Rows()
    page.feed(text)
    assert page.fetched == []
    assert page.tags["script"] == 1
    assert "alert(" not in re.sub(r"&lt;.*?&gt;.*?&lt;/.*?&gt;", "", text)
    assert "http" not in re.sub(r"http-equiv", "", text)


def test_the_page_opens_with_perimeter_dates_limits_and_no_qualification(shown: Content) -> None:
    text = rendered(shown, "html").decode()
    order = [
        text.index(word) for word in ("ne vaut pas qualification", "Périmètre et limites", "Synthèse</h2>")
    ]
    assert order == sorted(order)


def test_the_page_tells_by_which_account_each_reading_was_done(shown: Content) -> None:
    accounts = {"hosts": "le compte « socle-audit »", "ssh": "aucun", "web": "aucun"}
    facts = shown.facts.model_copy(update={"permissions": accounts})
    text = rendered(dataclasses.replace(shown, facts=facts), "html").decode()
    table = text[text.index('id="lectures"') :].partition("</table>")[0]
    rows = re.findall(r"<tr><th scope=.row.>(.*)</th><td>(.*)</td></tr>", table)
    assert rows == [("le compte « socle-audit »", "hosts"), ("aucun", "ssh, web")]


def test_every_failure_says_where_what_was_expected_what_was_found_and_the_repair(shown: Content) -> None:
    text = rendered(shown, "html").decode()
    for control, judgement in shown.failures:
        article = text[text.index(f'id="ecart-{control.id}"') :].partition("</article>")[0]
        assert control.id in article
        assert str(control.variable or "") in article
        assert article.count("<tr>") == len(judgement.findings) + 1


def landmarks(text: str) -> Iterator[str]:
    yield from re.findall(r"<h([1-6])", text)


def test_headings_are_nested_and_pictures_have_words(shown: Content) -> None:
    text = rendered(shown, "html").decode()
    levels = [int(level) for level in landmarks(text)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert text.count("<svg") == text.count('role="img" aria-label="')
    assert 'lang="fr"' in text
    assert text.count("<table") == text.count("<caption>")
    fields = set(re.findall(r"<(?:select|input) id=\"([^\"]+)\"", text))
    assert fields == set(re.findall(r"<label for=\"([^\"]+)\"", text))


def test_what_one_types_is_code_and_nothing_in_it_becomes_markup() -> None:
    assert html.commands("Lancer `socle deploy <x>`, puis `y") == (
        "Lancer <code>socle deploy &lt;x&gt;</code>, puis `y"
    )


def test_a_cell_is_no_formula() -> None:
    from socle.audit.report.grid import _harmless  # noqa: PLC0415 - what is tested

    assert _harmless("=HYPERLINK(1)").startswith("'=")


def test_the_same_audit_gives_the_same_bytes(shown: Content) -> None:
    for form in ("html", "csv", "oscal", "junit", "sarif", "ciso-assistant"):
        assert rendered(shown, form) == rendered(shown, form)


def test_a_long_list_is_cut_and_says_how_long_it_is() -> None:
    assert conditions.shown(list(range(conditions.SHOWN))).endswith(f", {conditions.SHOWN - 1}")
    told = conditions.shown([f"/var/lib/{number}" for number in range(conditions.SHOWN + 812)])
    assert told.endswith(f"/var/lib/{conditions.SHOWN - 1}, et 812 de plus")
