"""``socle vulnerabilities``: what is known of the kit and of the nodes, and what has to be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from socle.cli.app import app, err, examples, good, options, out
from socle.errors import ExitCode

if TYPE_CHECKING:
    from socle.supply.judgement import Known
    from socle.supply.survey import Survey

STYLES = {"exploitable": "bold red", "in_triage": "yellow", "not_affected": "green"}
EXAMPLES = examples(
    "socle vulnerabilities --kit --osv /srv/vulndb/data/osv",
    "socle vulnerabilities --osv /srv/osv --debian-tracker /srv/debian-tracker.json",
)


@app.command(epilog=EXAMPLES)
def vulnerabilities(
    context: typer.Context,
    osv: Annotated[
        Path | None,
        typer.Option(help="Folder of OSV records, JSON; else `vulnerabilities: osv:` of site.yml."),
    ] = None,
    debian_tracker: Annotated[
        Path | None,
        typer.Option(help="JSON of Debian's security tracker; else `debian_tracker:` of site.yml."),
    ] = None,
    kit_only: Annotated[bool, typer.Option("--kit", help="The kit alone: no node is asked.")] = False,
) -> None:
    """Compare what the kit and the nodes are made of with local copies of databases of vulnerabilities.

    Nothing is asked of the network: an operator mirrors the databases (docs/operator/vulnerabilities.md).
    Each known vulnerability of the kit has a statement: what reaches it here, what closes it and the test
    that shows it, or until when it is accepted. What has none is an error, and so is a statement about a
    version that is no longer pinned, one whose test is not there, and a Debian package whose fix is
    published. Without a database only the statements are judged, and that is said.

    Exit codes: 1 something has to be done, 4 a database is not there, 6 a node does not answer.
    """
    from socle.supply.survey import Databases, survey  # noqa: PLC0415 - loads slowly

    given = options(context)
    site = given.load()
    named = Databases.of_site(site)
    databases = Databases(osv or named.osv, debian_tracker or named.debian_tracker)
    with err.status("reading what is in the kit and on the nodes") as line:
        found = survey(site, databases, lambda progress: line.update(str(progress)), nodes=not kit_only)
    if given.json:
        out.print_json(data=_plain(found))
    else:
        show_known(found.judged.known)
        _show_work(found)
    raise typer.Exit(ExitCode.FAILED if found.judged.findings else ExitCode.OK)


def show_known(known: Sequence[Known]) -> None:
    """A table of what is stated, the worst first; what Debian has no fix for yet is counted below it."""
    stated = [one for one in known if one.statement is not None]
    table = Table("vulnerability", "component", "severity", "state", "until", "reached by")
    order = list(STYLES)
    for one in sorted(stated, key=lambda one: (order.index(_state(one)), one.component.name, one.id)):
        assert one.statement is not None  # noqa: S101 - for the type checker
        statement, about = one.statement.statement, one.statement.about
        until = statement.accepted_until.isoformat() if statement.accepted_until else ""
        component = f"{about.component.rpartition('/')[2]} {about.published}"
        style = STYLES[statement.state]
        state = Text(statement.state, style=style)
        table.add_row(one.id, component, statement.severity, state, until, statement.reached_by)
    out.print(table)


def _state(one: Known) -> str:
    return one.statement.statement.state if one.statement else "in_triage"


def _show_work(found: Survey) -> None:
    waiting = {one.id for one in found.judged.known if one.statement is None and one.fixed is None}
    if waiting:
        out.print(f"{len(waiting)} in Debian's packages wait for a fix", highlight=False)
    for text in found.not_evaluated:
        out.print(f"not evaluated: {text}", style="yellow", highlight=False, soft_wrap=True)
    for finding in found.judged.findings:
        text = f"{finding.kind}: {finding.component} {finding.version}: {finding.id}: {finding.what}"
        out.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    if not found.judged.findings:
        good("all that is known has a statement that holds")


def _plain(found: Survey) -> dict[str, Any]:
    from socle.supply import vex  # noqa: PLC0415 - loads slowly

    return {
        "vulnerabilities": vex.plain(found.judged.known),
        "findings": [asdict(finding) for finding in found.judged.findings],
        "not_evaluated": list(found.not_evaluated),
    }
