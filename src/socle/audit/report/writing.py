"""Write a report in every form that is asked for, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from socle.audit.report import ciso_assistant, grid, html, junit, oscal, pdf, sarif
from socle.audit.report.content import Content

FORMS: Final[dict[str, tuple[str, Callable[[Content], bytes]]]] = {
    "html": ("rapport.html", html.render),
    "pdf": ("rapport.pdf", pdf.render),
    "ods": ("grille.ods", grid.ods),
    "csv": ("grille.csv", grid.csv),
    "oscal": ("oscal-assessment-results.json", oscal.assessment_results),
    "oscal-components": ("oscal-component-definition.json", oscal.component_definition),
    "oscal-poam": ("oscal-poam.json", oscal.plan_of_action),
    "junit": ("junit.xml", junit.render),
    "sarif": ("resultats.sarif", sarif.render),
    "ciso-assistant": ("ciso-assistant.json", ciso_assistant.render),
}
"""Name of the file and what makes it, by form."""


def write(folder: Path, shown: Content, forms: Iterable[str] = FORMS) -> dict[str, Path]:
    """Write the forms into a folder; where each stands.

    Raises:
        SocleError: a library that a form needs is missing (exit code 4).
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for form in forms:
        name, render = FORMS[form]
        rendered = render(shown)
        draft = folder / f".{name}.new"
        draft.write_bytes(rendered)
        written[form] = draft.replace(folder / name)
    return written
