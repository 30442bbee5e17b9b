"""The one screen that closes a deployment: what runs where, how to log in, how long each phase took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.panel import Panel
from rich.table import Table

from socle import catalogue
from socle.cli.app import out
from socle.deploy import journal
from socle.deploy.journal import Run
from socle.deploy.progress import duration
from socle.paths import state_dir
from socle.site import Host, Site
from socle.site.ansible import urls

if TYPE_CHECKING:
    from socle.tenants import StackResult


def summary_facts(site: Site, run: Run, stacks: list[StackResult]) -> dict[str, Any]:
    """The same as data."""
    return {
        "site": site.name,
        **run.facts(),
        "nodes": {h.name: {"address": h.address, "components": _titles(h)} for h in site.hosts.values()},
        "login": _login(site),
        "stacks": [{"stack": s.stack, "counts": s.counts, "outputs": s.outputs} for s in stacks],
    }


def show_summary(site: Site, run: Run, stacks: list[StackResult]) -> None:
    """Print it."""
    out.print()
    out.print(_where(site))
    out.print(_phases(site, run))
    if stacks:
        out.print(_stacks(stacks))
    lines = [f"{name:8} {text}" for name, text in _login(site).items()]
    out.print(Panel("\n".join(lines), title="Log in", expand=False), highlight=False)


def _titles(host: Host) -> list[str]:
    return [c.title for c in catalogue.load().of_groups(host.groups).values() if "all" not in c.runs_on]


def _where(site: Site) -> Table:
    table = Table("node", "address", "what runs there", title=site.settings.title)
    for host in site.hosts.values():
        table.add_row(host.name, host.address, ", ".join(_titles(host)))
    return table


def _phases(site: Site, run: Run) -> Table:
    title = f"{run.command}: {duration(run.seconds)}"
    table = Table("phase", "time", "last time", "changed", "module executions", title=title)
    before = journal.times_before(journal.runs(state_dir(site.name)), run.command, str(run.folder))
    for phase in run.phases:
        former = duration(before[phase.name]) if phase.name in before else ""
        cells = (phase.name, duration(phase.seconds), former, str(phase.changed), str(phase.executions or ""))
        table.add_row(*cells)
    return table


def _stacks(stacks: list[StackResult]) -> Table:
    table = Table("stack", "changed", "same", "what it shows", title="Platform and tenants")
    for stack in stacks:
        shown = "\n".join(f"{key}: {value}" for key, value in stack.outputs.items())
        table.add_row(stack.stack, str(stack.changed), str(stack.same), shown)
    return table


def _login(site: Site) -> dict[str, str]:
    """Where to log in and where the secret is, never the secret."""
    found = urls(site, catalogue.load())
    address = site.endpoints.public.address
    return {
        "Horizon": f"{found['horizon']['public']}/ ({address}), domain Default, user admin",
        "API": f"{found['keystone']['public']}/v3, region {site.region}, project admin",
        "Password": f"in OpenBao, {found['openbao']['internal']}, at kv/services/keystone, key admin",
        "CA": str(state_dir(site.name) / "ca.pem"),
        "Tenants": f"socle --site {site.name} tenant list",
    }
