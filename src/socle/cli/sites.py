"""``socle validate``: is the site folder right?"""

from __future__ import annotations

import typer

from socle.cli.app import app, examples, options, out


@app.command(epilog=examples("socle validate", "socle --site modele-gip validate", "socle validate --json"))
def validate(context: typer.Context) -> None:
    """Check every file of the site and say everything that is wrong.

    One line for each error: file, line, what is wrong, what was expected, what to write. Changes nothing and
    asks nothing of the network.

    Exit code: 3 when something is wrong.
    """
    given = options(context)
    site = given.load()
    facts = {
        "site": site.name,
        "hosts": len(site.hosts),
        "tenants": len(site.tenants),
        "networks": sum(len(site.tenant_networks(siren)) for siren in site.tenants),
    }
    if given.json:
        out.print_json(data={**facts, "valid": True})
        return
    out.print(
        f"[green]✓[/green] {facts['site']}: {facts['hosts']} hosts, {facts['tenants']} tenants, "
        f"{facts['networks']} networks; nothing is wrong",
        highlight=False,
    )
