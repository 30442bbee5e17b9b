"""``socle deploy`` and ``socle journal``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from socle import catalogue
from socle.cli.app import app, examples, options, out
from socle.deploy import journal
from socle.deploy.deployment import Deployment
from socle.deploy.progress import Screen, duration
from socle.errors import ExitCode, SocleError
from socle.paths import state_dir

SLOWEST = 10


def roles() -> list[str]:
    """The components of the catalogue, for completion."""
    return list(catalogue.load().components)


@app.command(epilog=examples("socle deploy", "socle deploy --only nova", "socle deploy --only 210000014"))
def deploy(
    context: typer.Context,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="ROLE|NODE|TENANT",
            help="A component of the catalogue, a host or a SIREN; everything else is left alone.",
            autocompletion=roles,
        ),
    ] = None,
) -> None:
    """Make the site's machines and tenants what its files say.

    Checks that the nodes answer and have room, then runs the phases: base system, OpenBao, keys and secrets,
    certificates, storage beside the control plane, hypervisors, platform, tenants. Can be killed at any
    point: the same command finishes the work. A second run changes nothing.

    Exit codes: 1 a task failed (node, role, task and the place of the log are said), 4 a disk is full or a
    name leads nowhere, 5 another run holds the lock, 6 a node does not answer or OpenBao is sealed.
    """
    given = options(context)
    site = given.load()
    deployment = Deployment(site, Screen(given.progress), only)
    deployment.go()
    from socle.cli.summary import show_summary, summary_facts  # noqa: PLC0415 - Pulumi takes seconds to load

    if given.json:
        out.print_json(data=summary_facts(site, deployment))
    else:
        show_summary(site, deployment)


@app.command(name="journal", epilog=examples("socle journal", "socle journal last", "socle journal --json"))
def show_journal(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="RUN", help="One run in detail: its name, or `last`.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many runs to list.", min=1)] = 20,
) -> None:
    """List the runs: what, when, who, of which commit, how long, and how they ended.

    With the name of a run: the time of each of its phases, beside that of the run before, and its slowest
    tasks. A run that was killed reads as interrupted.
    """
    given = options(context)
    found = journal.runs(state_dir(given.load().name))
    if name is not None:
        _show_run(_run_named(found, name), found, as_json=given.json)
    elif given.json:
        out.print_json(data=found)
    else:
        out.print(_list(found[-count:]))


def _list(found: list[dict[str, Any]]) -> Table:
    table = Table("run", "command", "by", "commit", "result", "time", "changed")
    for run in found:
        changed = sum(phase["changed"] for phase in run["phases"])
        name = run["folder"].rpartition("/")[2]
        cells = (name, run["command"], run["user"], run["commit"], run["result"], duration(run["seconds"]))
        table.add_row(*cells, str(changed))
    return table


def _run_named(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    chosen = found[-1:] if name == "last" else [r for r in found if r["folder"].rpartition("/")[2] == name]
    if chosen:
        return chosen[0]
    raise SocleError(
        f"no run {name}", expected="`last` or a name that `socle journal` lists", exit_code=ExitCode.USAGE
    )


def _show_run(run: dict[str, Any], found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        out.print_json(data=run)
        return
    before = journal.times_before(found, run["command"], run["folder"])
    title = f"{run['command']}, {run['when']}, {run['result']}, {duration(run['seconds'])}"
    table = Table("phase", "result", "time", "before", "changed", "module executions", title=title)
    for phase in run["phases"]:
        former = before.get(phase["name"])
        told = "" if former is None else duration(former)
        counts = (str(phase["changed"]), str(phase["executions"] or ""))
        table.add_row(phase["name"], phase["result"], duration(phase["seconds"]), told, *counts)
    out.print(table)
    out.print(_slowest(run))
    out.print(f"Logs: {run['folder']}", highlight=False, soft_wrap=True)
    if run["error"]:
        out.print(run["error"], markup=False, highlight=False, soft_wrap=True)


def _slowest(run: dict[str, Any]) -> Table:
    times = {task: seconds for phase in run["phases"] for task, seconds in phase["tasks"].items()}
    table = Table("time", "task", title="Slowest tasks")
    for task, seconds in sorted(times.items(), key=lambda item: -item[1])[:SLOWEST]:
        table.add_row(duration(seconds), task)
    return table
