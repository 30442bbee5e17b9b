"""``socle validate`` and ``socle flows``: is the site folder right, and who may call what by it?"""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import ip_network
from typing import Annotated

import typer
from rich.table import Table

from socle import catalogue
from socle.cli.app import app, examples, good, options, out
from socle.errors import ExitCode, SocleError
from socle.site import Site
from socle.site.flows import ANYWHERE, Flow, flows


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
    good(
        f"{facts['site']}: {facts['hosts']} hosts, {facts['tenants']} tenants, "
        f"{facts['networks']} networks; nothing is wrong"
    )


@app.command(
    name="flows",
    epilog=examples("socle flows", "socle flows --host ctl1", "socle --site modele-gip flows --json"),
)
def flow_matrix(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Flows of one host only.")] = None,
) -> None:
    """List who may call what: the flow matrix that the firewall of every node is made of.

    It comes from the service catalogue and the site's addresses; nothing else is let in or out. Asks nothing
    of the network.

    Exit codes: 2 no such host, 3 the site's files are not valid.
    """
    given = options(context)
    site = given.load()
    wanted = [flow for flow in flows(site, catalogue.load()) if host is None or _concerns(site, flow, host)]
    if given.json:
        out.print_json(data=[asdict(flow) for flow in wanted])
        return
    table = Table("flow", "zone", "protocol", "ports", "from", "to", "TLS")
    named = _names(site)
    for flow in wanted:
        ends = [
            ", ".join(named.get(prefix, prefix) for prefix in side)
            for side in (flow.sources, flow.destinations)
        ]
        table.add_row(flow.name, flow.zone, flow.protocol, flow.ports, *ends, flow.tls)
    out.print(table)


def _concerns(site: Site, flow: Flow, name: str) -> bool:
    if name not in site.hosts:
        raise SocleError(
            f"no host {name}", expected=f"one of {', '.join(site.hosts)}", exit_code=ExitCode.USAGE
        )
    own = [ip_network(f"{address}/32") for address in site.hosts[name].addresses.values()]
    ends = [ip_network(prefix) for prefix in (*flow.sources, *flow.destinations)]
    return any(address.subnet_of(end) for address in own for end in ends)  # type: ignore[arg-type]


def _names(site: Site) -> dict[str, str]:
    """What people call an address."""
    hosts = {
        f"{address}/32": host.name for host in site.hosts.values() for address in host.addresses.values()
    }
    shared = {f"{end.address}/32": end.name for end in (site.endpoints.internal, site.endpoints.public)}
    deployers = {f"{address}/32": "deployer" for address in site.settings.deployers}
    zones = {str(zone.prefix): f"zone {name}" for name, zone in site.settings.zones.items()}
    return {**zones, **deployers, **hosts, **shared, ANYWHERE: "anywhere"}
