"""``socle status``: what the running cloud says of itself."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from socle import catalogue
from socle.cli.app import app, err, examples, good, options, out
from socle.deploy.status import Finding, Section, gather
from socle.errors import ExitCode
from socle.site import Site

STYLES = {"well": "green", "not well": "bold red", "not evaluated": "yellow"}


@app.command(epilog=examples("socle status", "socle status --json", "socle --site inventories/mine status"))
def status(context: typer.Context) -> None:
    """Ask the running cloud how it is: nodes, services, end points, agents, certificates, seal, capacity.

    Asks each node once over SSH, OpenBao, every API through its TLS end point, and OpenStack as its
    administrator, all at the same time. Changes nothing. What could not be read is shown as not evaluated,
    with the reason.

    Exit code: 1 when something is not well or gave no answer.
    """
    given = options(context)
    site = given.load()
    with err.status("asking nodes and services"):
        sections = gather(site, catalogue.load())
    show_sections(site, sections, {}, as_json=given.json)
    well = all(section.well for section in sections)
    raise typer.Exit(ExitCode.OK if well else ExitCode.FAILED)


def show_sections(site: Site, sections: list[Section], more: dict[str, object], *, as_json: bool) -> None:
    """Tables and a verdict, or JSON with what else there is to say."""
    if as_json:
        well = all(section.well for section in sections)
        out.print_json(
            data={"site": site.name, "well": well, **more, **{s.name: _plain(s) for s in sections}}
        )
        return
    for section in sections:
        out.print(_table(section))
    _verdict(sections)


def _plain(section: Section) -> list[dict[str, object]]:
    return [asdict(finding) for finding in section.findings]


def _table(section: Section) -> Table:
    columns = list(dict.fromkeys(key for finding in section.findings for key in finding.facts))
    reasons = any(finding.reason for finding in section.findings)
    table = Table(
        "", *columns, "state", *(["why"] if reasons else []), title=section.title, title_justify="left"
    )
    for finding in section.findings:
        cells = [str(finding.facts.get(column, "")) for column in columns]
        state = Text(finding.state, style=STYLES[finding.state])
        table.add_row(finding.subject, *cells, state, *([finding.reason] if reasons else []))
    return table


def _verdict(sections: list[Section]) -> None:
    ill: list[tuple[Section, Finding]] = [(s, f) for s in sections for f in s.findings if not f.well]
    skipped = sum(f.state == "not evaluated" and f.expected for s in sections for f in s.findings)
    if not ill:
        beside = f"; {skipped} not evaluated: these hosts cannot do it" if skipped else ""
        good(f"everything that was asked is well{beside}")
        return
    for section, finding in ill:
        text = f"{section.title}: {finding.subject}: {finding.state}: {finding.reason}"
        out.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
