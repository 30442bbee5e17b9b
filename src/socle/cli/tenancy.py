"""``socle tenant``: the collectivities and what each has."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from socle import tenants
from socle.cli.app import app, options, out
from socle.tenants import StackResult

tenant_app = typer.Typer(help="Tenants: one file each in the site's tenants/ folder.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")
Sirens = Annotated[
    list[str] | None, typer.Argument(metavar="[SIREN]...", help="All tenants when none is named.")
]


@tenant_app.command(name="list")
def list_tenants(context: typer.Context) -> None:
    """List the tenants that the site's files ask for; asks nothing of the cloud."""
    site = options(context).load()
    rows = [
        {
            "siren": siren,
            "name": tenant.organisation.name,
            "size": tenant.size,
            "environments": list(tenant.lifecycle.environments),
            "servers": len(tenant.servers),
            "monthly_eur": site.tenant_estimate(siren),
            "end": str(tenant.lifecycle.end),
            "state": site.tenant_state(siren),
        }
        for siren, tenant in site.tenants.items()
    ]
    if options(context).json:
        out.print_json(data=rows)
        return
    table = Table("SIREN", "name", "size", "environments", "servers", "€/month at most", "until", "state")
    for row in rows:
        environments = ", ".join(map(str, row["environments"]))  # type: ignore[call-overload]
        cells = [
            row["siren"],
            row["name"],
            row["size"],
            environments,
            row["servers"],
            f"{row['monthly_eur']:.2f}",
            row["end"],
            row["state"],
        ]
        table.add_row(*map(str, cells))
    out.print(table)


@tenant_app.command()
def plan(context: typer.Context, sirens: Sirens = None) -> None:
    """Show what applying would create, change and delete. Changes nothing."""
    site = options(context).load()
    _show(context, tenants.preview(site, sirens, tenants.session_of(site), out.print))


@tenant_app.command(name="apply")
def apply_tenants(context: typer.Context, sirens: Sirens = None) -> None:
    """Make tenants what their files say. Removing a file deletes nothing."""
    site = options(context).load()
    _show(context, tenants.apply(site, sirens, tenants.session_of(site), out.print))


def _show(context: typer.Context, results: list[StackResult]) -> None:
    if options(context).json:
        out.print_json(data=[{"stack": r.stack, **r.counts} for r in results])
        return
    table = Table("stack", "create", "update", "delete", "unchanged")
    for result in results:
        counts = result.counts
        table.add_row(
            result.stack, *(str(counts.get(k, 0)) for k in ("create", "update", "delete")), str(result.same)
        )
    out.print(table)
