"""The one screen that closes a deployment: what runs where, how to log in, how long each phase took."""

from __future__ import annotations

from rich.panel import Panel
from rich.table import Table

from socle import catalogue
from socle.cli.app import out
from socle.deploy.journal import Run
from socle.deploy.progress import duration
from socle.paths import state_dir
from socle.site import Site


def show_summary(site: Site, run: Run) -> None:
    """Print it."""
    out.print()
    out.print(_where(site))
    out.print(_phases(run))
    out.print(Panel(_login(site), title="Log in", expand=False))


def _where(site: Site) -> Table:
    table = Table("node", "address", "what runs there", title=site.settings.title)
    for host in site.hosts.values():
        titles = [c.title for c in catalogue.load().of_groups(host.groups).values() if "all" not in c.runs_on]
        table.add_row(host.name, str(host.address), ", ".join(titles))
    return table


def _phases(run: Run) -> Table:
    table = Table("phase", "time", "changed", "module executions", title=f"{run.command}: {duration(run.seconds)}")
    for phase in run.phases:
        table.add_row(phase.name, duration(phase.seconds), str(phase.changed), str(phase.executions or ""))
    return table


def _login(site: Site) -> str:
    public = site.endpoints.public
    return (
        f"Horizon   https://{public.name}/   ({public.address}; authority: {state_dir(site.name) / 'ca.pem'})\n"
        f"API       https://{public.name}:5000/v3   region {site.region}\n"
        f"Account   admin, domain Default; password in OpenBao at kv/services/keystone, key admin\n"
        f"Tenants   socle --site {site.name} tenant list"
    )
