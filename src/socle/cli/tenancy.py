"""``socle tenant``: the collectivities and what each has."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from socle import catalogue
from socle.cli.app import app, examples, options, out, say
from socle.deploy.deployment import Deployment
from socle.deploy.progress import Screen
from socle.errors import ExitCode, SocleError
from socle.site import Site

tenant_app = typer.Typer(help="Tenants: one file each in the site's tenants/ folder.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")
Sirens = Annotated[
    list[str] | None, typer.Argument(metavar="[SIREN]...", help="All tenants when none is named.")
]


@tenant_app.command(name="list", epilog=examples("socle tenant list", "socle tenant list --json"))
def list_tenants(context: typer.Context) -> None:
    """List the tenants that the site's files ask for; asks nothing of the cloud."""
    given = options(context)
    site = given.load()
    rows = [_row(site, siren) for siren in site.tenants]
    if given.json:
        out.print_json(data=rows)
        return
    table = Table("SIREN", "name", "size", "environments", "servers", "€ a month at most", "until", "state")
    for row in rows:
        shown = {**row, "environments": ", ".join(row["environments"]), "euros": f"{row['euros']:.2f}"}
        table.add_row(*map(str, shown.values()))
    out.print(table)


@tenant_app.command(epilog=examples("socle tenant plan", "socle tenant plan 210000014"))
def plan(context: typer.Context, sirens: Sirens = None) -> None:
    """Show what applying would create, update and delete, and change nothing.

    Exit codes: 2 no such tenant, 6 OpenBao is sealed or the cloud does not answer.
    """
    from socle import tenants  # noqa: PLC0415 - Pulumi takes seconds to load
    from socle.cli.summary import stacks_table  # noqa: PLC0415

    given = options(context)
    site = given.load()
    with given.progress.status("asking Pulumi") as line:
        results = tenants.preview(
            site, _known(site, sirens), tenants.session_of(site), lambda text: line.update(Text(text))
        )
    if given.json:
        out.print_json(data=[{"stack": result.stack, **result.counts} for result in results])
    else:
        out.print(stacks_table(site, results))


@tenant_app.command(name="apply", epilog=examples("socle tenant apply", "socle tenant apply 210000014"))
def apply_tenants(context: typer.Context, sirens: Sirens = None) -> None:
    """Make tenants what their files say, several at once. A file that was removed deletes nothing.

    Then fetches the page of each public server of the kit's own image, if there is one.

    Exit codes: 2 no such tenant, 5 another run holds the lock, 6 OpenBao is sealed or the cloud does not
    answer.
    """
    from socle.cli.summary import servers_table, stacks_table, summary_facts  # noqa: PLC0415

    given = options(context)
    site = given.load()
    deployment = Deployment(site, Screen(given.progress), sirens=tuple(sirens or ()))
    deployment.go()
    if given.json:
        out.print_json(data=summary_facts(site, deployment))
        return
    out.print(stacks_table(site, deployment.stacks))
    if deployment.servers:
        out.print(servers_table(deployment.servers))


@tenant_app.command(epilog=examples("socle tenant show", "socle tenant show 210000014 --json"))
def show(context: typer.Context, sirens: Sirens = None) -> None:
    """Show tenants: what their files ask for, and the servers that the cloud has, with their addresses.

    Exit codes: 2 no such tenant, 6 OpenBao is sealed or the cloud does not answer.
    """
    from socle.cli.summary import servers_table  # noqa: PLC0415 - Pulumi takes seconds to load
    from socle.cloud import connect  # noqa: PLC0415
    from socle.deploy.servers import servers_of  # noqa: PLC0415

    given = options(context)
    site = given.load()
    chosen = _known(site, sirens)
    with given.progress.status("asking the cloud"):
        servers = servers_of(site, connect(site, catalogue.load()), chosen)
    if given.json:
        found = [asdict(server) for server in servers]
        out.print_json(
            data=[{**_details(site, s), "servers": [x for x in found if x["siren"] == s]} for s in chosen]
        )
        return
    for siren in chosen:
        out.print(_tenant(site, siren))
    out.print(servers_table(servers))


@tenant_app.command(
    name="erase-keys",
    epilog=examples(
        "socle tenant erase-keys 210000014", "socle tenant erase-keys 210000014 --yes-erase 210000014"
    ),
)
def erase_keys(
    context: typer.Context,
    siren: Annotated[str, typer.Argument(metavar="SIREN")],
    yes_erase: Annotated[
        str | None,
        typer.Option("--yes-erase", metavar="SIREN", help="Say the SIREN again instead of being asked."),
    ] = None,
) -> None:
    """Delete the key of a tenant in OpenBao, and with it, for good, all that it protects.

    The tenant's secrets in Barbican, its encrypted volumes, their snapshots and every copy of Barbican's
    database become unreadable; other tenants keep theirs. Nothing brings the key back. What is attached now
    stays readable to its server until it is stopped. A backup of OpenBao that is older still holds the key.

    Exit codes: 2 no such tenant or not confirmed, 6 OpenBao is sealed or does not answer.
    """
    from socle import vault  # noqa: PLC0415 - hvac takes a while to load
    from socle.vault import tenant_keys  # noqa: PLC0415
    from stacks.tenant.plan import domain_name  # noqa: PLC0415

    given = options(context)
    site = given.load()
    _known(site, [siren])
    name, state = site.tenants[siren].organisation.name, site.tenant_state(siren)
    _confirm(
        f"All data of {name} ({siren}), which is {state}, becomes unreadable for good.", siren, yes_erase
    )
    place = vault.place_of(site, catalogue.load())
    erased = tenant_keys.erase(place, vault.eraser_client(place), domain_name(siren))
    if given.json:
        out.print_json(data={"siren": siren, "erased": list(erased)})
    elif erased:
        out.print(f"{name}: erased {', '.join(erased)}", highlight=False)
    else:
        out.print(f"{name}: has no key: it stored no secret, or its key is erased", highlight=False)


def _confirm(warning: str, word: str, said: str | None) -> None:
    """Go on only when the very word is said; nobody is asked where nobody can answer."""
    if said is None and sys.stdin.isatty():
        say(warning)
        said = typer.prompt(f"Type {word} to go on", default="", show_default=False, err=True)
    if said != word:
        raise SocleError(
            "not confirmed, nothing was done",
            expected=f"the SIREN {word}",
            write=f"say it again with --yes-erase {word}",
            exit_code=ExitCode.USAGE,
        )


def _known(site: Site, sirens: list[str] | None) -> list[str]:
    unknown = [siren for siren in sirens or [] if siren not in site.tenants]
    if unknown:
        raise SocleError(
            f"no tenant {', '.join(unknown)}",
            where=str(site.folder / "tenants"),
            expected="a SIREN that `socle tenant list` shows",
            exit_code=ExitCode.USAGE,
        )
    return sirens or list(site.tenants)


def _row(site: Site, siren: str) -> dict[str, Any]:
    tenant = site.tenants[siren]
    return {
        "siren": siren,
        "name": tenant.organisation.name,
        "size": tenant.size,
        "environments": list(tenant.lifecycle.environments),
        "servers": len(tenant.servers),
        "euros": site.tenant_estimate(siren),
        "end": str(tenant.lifecycle.end),
        "state": site.tenant_state(siren),
    }


def _details(site: Site, siren: str) -> dict[str, Any]:
    return {
        **_row(site, siren),
        "quota": site.tenant_quota(siren).model_dump(mode="json"),
        "networks": [
            {"environment": n.environment, "segment": n.segment, "prefix": str(n.prefix)}
            for n in site.tenant_networks(siren)
        ],
    }


def _tenant(site: Site, siren: str) -> Table:
    found = _details(site, siren)
    table = Table(show_header=False, title=f"{found['name']} ({siren})", title_justify="left")
    quota = ", ".join(f"{name} {value}" for name, value in found["quota"].items())
    table.add_row("size", f"{found['size']}: {quota} in each environment")
    table.add_row("environments", ", ".join(found["environments"]))
    for network in found["networks"]:
        table.add_row("network", f"{network['environment']}, {network['segment']}: {network['prefix']}")
    table.add_row("cost", f"at most {found['euros']:.2f} € a month")
    table.add_row("life", f"{found['state']}, until {found['end']}")
    return table
