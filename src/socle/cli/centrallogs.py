"""``socle logs``: verify and copy the central logs, extract a tenant's events, search."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from socle import catalogue
from socle.cli.app import app, err, examples, good, options, out
from socle.errors import ExitCode, SocleError

logs = typer.Typer(
    help="The central logs: verify them, copy them, extract a tenant's events, search.", no_args_is_help=True
)
app.add_typer(logs, name="logs")


@logs.command(epilog=examples("socle logs verify", "socle logs verify --json"))
def verify(context: typer.Context) -> None:
    """Prove that the store is what was sealed: nothing edited, dropped, put in another order or cut off.

    Measures every sealed part on the node that keeps it, and judges here: hashes, the chain of seals,
    OpenBao's signatures, and the end of the chain that the last verification saw. What came since the last
    seal is not proved yet.

    Exit code: 1 when something is wrong.
    """
    from socle.logs import asking  # noqa: PLC0415 - hvac takes a second to load

    given = options(context)
    site = given.load()
    with err.status("measuring the store"):
        found = asking.verify(site, catalogue.load())
    if given.json:
        out.print_json(data={"site": site.name, "well": not any(found.values()), "stores": found})
    for host, faults in found.items() if not given.json else ():
        for fault in faults:
            out.print(f"{host}: {fault}", style="red", markup=False, highlight=False, soft_wrap=True)
        if not faults:
            good(f"{host}: the store is what was sealed")
    raise typer.Exit(ExitCode.FAILED if any(found.values()) else ExitCode.OK)


@logs.command(epilog=examples("socle logs copy /srv/backups/logs"))
def copy(
    context: typer.Context, folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False)]
) -> None:
    """Copy the central logs into a folder of this machine, and verify the copy by the seals in it.

    Only what is new travels, and nothing of a copy is replaced: a store that does not continue it is refused.
    Days go from the copy when the site's retention is over.

    Exit code: 1 when the copy is not what was sealed.
    """
    from socle.logs import copies  # noqa: PLC0415 - hvac takes a second to load

    given = options(context)
    with err.status("copying the store"):
        found = copies.take(given.load(), catalogue.load(), folder)
    if given.json:
        out.print_json(data=found)
    for host, told in found.items() if not given.json else ():
        for fault in told["faults"]:
            out.print(f"{host}: {fault}", style="red", markup=False, highlight=False, soft_wrap=True)
        if not told["faults"]:
            good(f"{host}: {told['files']} files, {told['bytes']} bytes, as they were sealed")
    raise typer.Exit(ExitCode.FAILED if any(one["faults"] for one in found.values()) else ExitCode.OK)


@logs.command(epilog=examples("socle logs forget sec1"))
def forget(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="The node whose logs were lost with its disk.", metavar="NODE")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let a node that replaced a lost one begin a new chain of seals: the end of the old one is forgotten.

    Until then `socle logs verify` says that its seals are gone, as it does when somebody removed them.
    """
    from socle.logs import asking  # noqa: PLC0415 - hvac takes a second to load

    site = options(context).load()
    stores = {host.name: host for host in asking.stores(site)}
    if node not in stores:
        raise SocleError(
            f"{node} keeps no logs", where="NODE", expected=" or ".join(stores), exit_code=ExitCode.USAGE
        )
    if not yes:
        typer.confirm(f"Was the disk of {node} lost, and nothing else removed its seals?", abort=True)
    asking.forget(site, stores[node])
    out.print(f"{node}: the next `socle logs verify` takes its chain as a new one", highlight=False)


@logs.command(epilog=examples("socle logs extract --tenant 210000014 --from 2026-03-01 --to 2026-04-01"))
def extract(
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="The tenant's SIREN.", metavar="SIREN")],
    begin: Annotated[str, typer.Option("--from", help="Day or time, ISO 8601; the site's time zone.")],
    end: Annotated[
        str | None, typer.Option("--to", help="The same, not included; now when not said.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--id", help="A project or account that is gone by now; may be repeated."),
    ] = None,
) -> None:
    """Give one tenant its API events: who, what, when, from where, with what outcome. One JSON object a line.

    An event is the tenant's when one of its accounts or projects acted, or when the platform acted on what is
    its own. Nothing of other tenants is in it.
    """
    from socle.cloud import connect  # noqa: PLC0415 - openstacksdk takes a second to load
    from socle.logs import asking  # noqa: PLC0415 - hvac takes a second to load

    site = options(context).load()
    if tenant not in site.tenants:
        raise SocleError(
            f"no tenant {tenant}",
            where="--tenant",
            expected="a SIREN that `socle tenant list` shows",
            exit_code=ExitCode.USAGE,
        )
    zone = ZoneInfo(site.settings.timezone)
    since, until = _time("--from", begin, zone), _time("--to", end, zone) if end else datetime.now(UTC)
    ids = asking.tenant_ids(connect(site, catalogue.load()), [tenant])[tenant] | set(also or [])
    for line in asking.events(site, ids, since, until):
        typer.echo(line)


@logs.command(epilog=examples("socle logs search 'Failed password'"))
def search(
    context: typer.Context, text: Annotated[str, typer.Argument(help="As it stands in the entry.")]
) -> None:
    """Print the entries of all nodes that contain a text, one JSON object a line.

    Exit code: 1 when there is none.
    """
    from socle.logs import asking  # noqa: PLC0415 - hvac takes a second to load

    found = 0
    for found, line in enumerate(asking.search(options(context).load(), text), 1):  # noqa: B007
        typer.echo(line)
    raise typer.Exit(ExitCode.OK if found else ExitCode.FAILED)


def _time(option: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SocleError(
            f"{text} is no time",
            where=option,
            expected="2026-03-01 or 2026-03-01T14:30",
            exit_code=ExitCode.USAGE,
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=zone)
