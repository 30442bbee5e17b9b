"""``socle audit changes``, ``daily``, ``alarms`` and ``schedule``: the audit of every day."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from socle.audit.schedule import CHANGED
from socle.cli.app import err, examples, options, out
from socle.cli.auditing import AuditExit, audit
from socle.errors import ExitCode


@audit.command(epilog=examples("socle audit changes", "socle audit changes --since 12 --json"))
def changes(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="BUNDLE", help="Name or number of the one to compare with; the one before when not said."
        ),
    ] = None,
) -> None:
    """Show what turned red, green or not evaluated between the last two bundles of one kind.

    They and those between them are verified first: of what is wrong nothing is told.

    Exit codes: 10 when something is worse (red, red in more places, no longer proved), 1 when there are no
    two bundles, or they are not what was signed.
    """
    from socle.audit import bundle, controls, notary  # noqa: PLC0415 - beside its parts
    from socle.audit import changes as found  # noqa: PLC0415 - loads slowly

    given = options(context)
    site = given.load()
    before, now = found.compared(notary.chain_of(site), since)
    there = bundle.bundles(notary.chain_of(site))
    for line in notary.verified(site, there[there.index(before) : there.index(now) + 1]):
        err.print(f"NON PROUVÉ  {line}", markup=False, highlight=False, soft_wrap=True)
    result = found.between(before, now)
    if given.json:
        out.print_json(data={"before": before.name, "now": now.name, "worse": result.worse, **asdict(result)})
    else:
        out.print(f"De {before.name} à {now.name} :", markup=False, highlight=False, soft_wrap=True)
        for line in found.told(result, controls.load()):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(CHANGED if result.worse else ExitCode.OK)


@audit.command(epilog=examples("socle audit daily", "socle --site inventories/mine audit daily"))
def daily(context: typer.Context) -> None:
    """Audit the running cloud, keep it in the chain, and tell what is worse since the last daily audit.

    This is what the timer of `socle audit schedule` runs. It reads and changes nothing in the cloud. What is
    worse goes to the journal with the priority `err`, and to the address in `audit.alerts` of site.yml.

    Exit code: 10 when something is worse.
    """
    from socle.audit.daily import loaded, run  # noqa: PLC0415 - loads slowly

    given = options(context)
    site = loaded(given.site, given.load)
    with err.status("reading") as status:
        day = run(site, tell=lambda name: status.update(f"{name} read"))
    if given.json:
        out.print_json(data={"bundle": str(day.bundle), "lines": day.lines, "alarm": day.alarm})
    else:
        for line in (*day.lines, f"Dossier de preuves : {day.bundle}"):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(CHANGED if day.alarm else ExitCode.OK)


@audit.command(name="alarms", epilog=examples("socle audit alarms", "socle audit alarms --json"))
def show_alarms(context: typer.Context) -> None:
    """Show the daily audits of the last 31 days, their alarms, and who acknowledged each.

    A person acknowledges an alarm in records/alarms.yml of the site, within a day.

    Exit code: 10 when an alarm waits for somebody, 11 when no daily audit ran that could have raised one.
    """
    from socle.audit import alarms  # noqa: PLC0415 - loads slowly

    given = options(context)
    now = datetime.now(UTC)
    days = alarms.judged(given.load(), now)
    waiting = alarms.waiting(days)
    if given.json:
        out.print_json(data={"days": days, "waiting": waiting})
    else:
        table = Table("alarme", "dossier", "lignes", "attente (h)", "acquittée par", title_justify="left")
        for name, day in sorted(days.items()):
            seen = day["by"] or ("personne" if day["lines"] else "")
            lost = day["bundle"] or "audit non abouti"
            row = (name, lost, str(day["lines"]), f"{day['hours']:.1f}" if day["lines"] else "", seen)
            table.add_row(*row, style="red" if name in waiting else None)
        out.print(table)
        if not days:
            out.print("Aucun audit quotidien depuis un mois : rien n’a pu donner l’alarme.")
        for name in waiting:
            text = alarms.to_write(name, now)
            out.print(f"À écrire dans records/alarms.yml, sous `alarms:` :\n{text}", markup=False)
    if not days:
        raise typer.Exit(AuditExit.NOT_EVALUATED)
    raise typer.Exit(CHANGED if waiting else ExitCode.OK)


@audit.command(epilog=examples("socle audit schedule", "socle audit schedule --stop"))
def schedule(
    context: typer.Context,
    *,
    stop: Annotated[bool, typer.Option(help="Take the timer away.")] = False,
) -> None:
    """Have this machine run the daily audit by a timer of systemd, at the time in `audit.daily` of site.yml.

    Exit code: 4 when this machine has no systemd, or this account may not lay its units.
    """
    from socle.audit import schedule as timer  # noqa: PLC0415 - named like the command

    given = options(context)
    site = given.load()
    changed = (timer.stop if stop else timer.start)(site)
    state = "is not there" if stop else f"runs every day at {site.settings.audit.daily}"
    if given.json:
        out.print_json(data={"timer": f"{timer.stem(site)}.timer", "changed": changed, "stopped": stop})
    else:
        out.print(f"{timer.stem(site)}.timer {state}{'' if changed else ' already'}", highlight=False)
