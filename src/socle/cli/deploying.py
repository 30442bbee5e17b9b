"""``socle deploy`` and ``socle journal``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from socle.cli.app import app, options, out
from socle.cli.summary import show_summary
from socle.deploy import journal
from socle.deploy.deployment import Deployment
from socle.deploy.progress import Screen, duration
from socle.paths import state_dir


@app.command()
def deploy(
    context: typer.Context,
    only: Annotated[
        str | None, typer.Option("--only", metavar="ROLE|NODE|TENANT", help="A component, a host or a SIREN; everything else is left alone.")
    ] = None,
) -> None:
    """Make the site's machines and tenants what its files say.

    Can be killed at any point: the same command finishes the work. A second run changes nothing.

    Example: [bold]socle deploy --only nova[/bold]
    """
    given = options(context)
    site = given.load()
    run = Deployment(site, Screen(out), only).go()
    if given.json:
        out.print_json(data={"seconds": run.seconds, "result": run.result, "phases": [vars(p) for p in run.phases]})
        return
    show_summary(site, run)


@app.command(name="journal")
def show_journal(context: typer.Context) -> None:
    """List the runs: what, when, who, how long, and how they ended."""
    given = options(context)
    found = journal.runs(state_dir(given.load().name))
    if given.json:
        out.print_json(data=found)
        return
    table = Table("started", "command", "by", "commit", "result", "time", "changed")
    for run in found:
        changed = sum(phase["changed"] for phase in run["phases"])
        table.add_row(
            run["started"], run["command"], run["user"], run["commit"], run["result"], duration(run["seconds"]), str(changed)
        )
    out.print(table)
