"""The one screen that closes a deployment: what runs where, how to log in, how long each phase took."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from socle import catalogue
from socle.catalogue.accounts import DEPLOYER, DOMAIN, SECRET
from socle.cli.app import out
from socle.deploy import journal
from socle.deploy.deployment import Deployment
from socle.deploy.journal import Run
from socle.deploy.progress import duration
from socle.deploy.servers import Server
from socle.paths import state_dir
from socle.site import Host, Site
from socle.site.ansible import urls
from socle.tenants import StackResult
from stacks.tenant.plan import domain_name


def summary_facts(site: Site, deployment: Deployment) -> dict[str, Any]:
    """The same as data."""
    return {
        "site": site.name,
        **deployment.run.facts(),
        "nodes": {h.name: {"address": h.address, "components": titles(h)} for h in site.hosts.values()},
        "login": _login(site),
        "stacks": [{"stack": stack.stack, "counts": stack.counts} for stack in deployment.stacks],
        "servers": [asdict(server) for server in deployment.servers],
    }


def show_summary(site: Site, deployment: Deployment) -> None:
    """Print it."""
    out.print()
    out.print(_where(site))
    out.print(_phases(site, deployment.run))
    if deployment.stacks:
        out.print(stacks_table(site, deployment.stacks))
    if deployment.servers:
        out.print(servers_table(deployment.servers))
    login = Table(show_header=False, title="Log in", title_justify="left")
    for name, text in _login(site).items():
        login.add_row(name, text)
    out.print(login, highlight=False)


def titles(host: Host) -> list[str]:
    """What runs on a host, without what every host has."""
    return [c.title for c in catalogue.load().of_groups(host.groups).values() if "all" not in c.runs_on]


def stacks_table(site: Site, stacks: list[StackResult]) -> Table:
    """What Pulumi did, or would do."""
    kinds = ("create", "update", "replace", "delete", "same")
    tenants = {domain_name(siren): (siren, t.organisation.name) for siren, t in site.tenants.items()}
    table = Table("stack", "", *kinds, title="Platform and tenants", title_justify="left")
    for stack in stacks:
        named = tenants.get(stack.stack, (stack.stack, "Flavors, images, networks"))
        table.add_row(*named, *(str(stack.counts.get(kind, 0)) for kind in kinds))
    return table


def servers_table(servers: list[Server]) -> Table:
    """Servers with their addresses."""
    table = Table("tenant", "environment", "server", "state", "address", "floating", "page", title="Servers")
    table.title_justify = "left"
    for s in servers:
        table.add_row(s.tenant, s.environment, s.name, s.status, s.fixed, s.floating, s.page)
    return table


def _where(site: Site) -> Table:
    table = Table("node", "address", "what runs there", title=site.settings.title, title_justify="left")
    for host in site.hosts.values():
        table.add_row(host.name, host.address, ", ".join(titles(host)))
    return table


def _phases(site: Site, run: Run) -> Table:
    title = f"{run.command}: {duration(run.seconds)}"
    columns = ("phase", "time", "last time", "changed", "module executions")
    table = Table(*columns, title=title, title_justify="left")
    before = journal.times_before(journal.runs(state_dir(site.name)), run.command, str(run.folder))
    for phase in run.phases:
        former = duration(before[phase.name]) if phase.name in before else ""
        cells = (phase.name, duration(phase.seconds), former, str(phase.changed), str(phase.executions or ""))
        table.add_row(*cells)
    return table


def _login(site: Site) -> dict[str, str]:
    """Where to log in and where the secret is, never the secret."""
    found = urls(site, catalogue.load())
    address = site.endpoints.public.address
    return {
        "Horizon": f"{found['horizon']['public']}/ ({address}), for the managers of tenants",
        "Managers": "first password and second factor in OpenBao: kv/tenants/SIREN",
        "API": f"{found['keystone']['public']}/v3, region {site.region}",
        "Login": f"domain and project {DOMAIN}, user {DEPLOYER}",
        "Password": f"in OpenBao at {found['openbao']['internal']}: kv/services/{DEPLOYER}, key {SECRET}",
        "Authority": str(state_dir(site.name) / "ca.pem"),
        "Tenants": f"socle --site {site.name} tenant show",
    }
