"""The report as one page of HTML that holds all it shows: no script or style comes from elsewhere.

Charts are drawn as SVG, with the same figures in a table beside each (RGAA 1.1): nobody needs to see colours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from socle.audit.model import Status
from socle.audit.report.content import SEVERITY_FR, Content, when
from socle.audit.report.grid import AUTOMATION_FR, MODALITY_FR, accounts_of, limits_of, scope_of

STYLES: Final = {
    Status.CONFORME: ("conforme", "#18753c", "✔"),
    Status.PARTIAL: ("partiel", "#0063cb", "◐"),
    Status.NON_CONFORME: ("ecart", "#ce0500", "✘"),
    Status.NOT_APPLICABLE: ("sans-objet", "#666666", "—"),
    Status.NOT_EVALUATED: ("non-evalue", "#8a4b00", "?"),
    Status.WAIVED: ("derogation", "#6e445a", "⚠"),
    Status.EVIDENCE: ("preuve", "#000091", "✎"),
}
"""Class, colour on white (contrast of 4.5 and more, RGAA 3.2) and sign of each status."""
BAR_WIDTH: Final = 640


def render(shown: Content, paper: bool = False) -> bytes:
    """The page; for paper without what only a screen can do."""
    page: str = _template().render(
        shown=shown,
        audit=shown.audit,
        facts=shown.facts,
        perimeter=scope_of(shown) + limits_of(shown),
        accounts=accounts_of(shown),
        statuses=list(Status),
        look=STYLES,
        severities=SEVERITY_FR,
        modalities=MODALITY_FR,
        automations=AUTOMATION_FR,
        segments=segments,
        width=BAR_WIDTH,
        when=when,
        paper=paper,
        Status=Status,
    )
    return page.encode()


def segments(counts: Mapping[Status, int], total: int) -> list[tuple[Status, int, float, float]]:
    """Parts of a stacked bar: status, count, where it begins, how wide it is; none for what has no part."""
    parts = []
    begin = 0.0
    for status, count in counts.items():
        wide = BAR_WIDTH * count / total if total else 0.0
        if count:
            parts.append((status, count, round(begin, 2), round(wide, 2)))
        begin += wide
    return parts


def commands(text: str) -> Markup:
    """A text whose parts between grave accents are what one types."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["commands"] = commands
    return environment.from_string(files(__package__).joinpath("page.html.j2").read_text("utf-8"))
