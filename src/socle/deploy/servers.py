"""The tenants' servers in the running cloud, and the page that those of the kit's own image show."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from socle.errors import ExitCode, SocleError
from socle.site import Site, Tenant
from stacks.tenant.plan import domain_name

PAGE_SECONDS = 120
AT_ONCE = 16
HTTP = 80
RUNS = "ACTIVE"
BROKEN = "ERROR"


@dataclass(frozen=True)
class Server:
    """One server as the cloud has it."""

    siren: str
    tenant: str
    environment: str
    name: str
    status: str
    """As Nova names it: ``ACTIVE``, ``SHUTOFF``, ``ERROR`` …"""
    fixed: str
    floating: str
    shows_page: bool
    """Whether anyone may fetch its page: a public server of an image that the kit builds."""

    @property
    def page(self) -> str:
        """Address of its page; empty where it shows none, or does not run."""
        return f"http://{self.floating}/" if self.shows_page and self.status == RUNS else ""

    @property
    def title(self) -> str:
        """How people call it."""
        return f"{self.name} of {self.tenant} ({self.environment})"


def servers_of(site: Site, cloud: Any, sirens: Collection[str]) -> list[Server]:
    """The servers of these tenants, by tenant, environment and name. Three requests, however many tenants.

    Args:
        cloud: a connection of the administrator.
    """
    by_domain = {domain_name(siren): siren for siren in sirens}
    domains = {d.id: by_domain[d.name] for d in cloud.identity.domains() if d.name in by_domain}
    projects = {
        p.id: (domains[p.domain_id], p.name) for p in cloud.identity.projects() if p.domain_id in domains
    }
    found = [s for s in cloud.compute.servers(all_projects=True) if s.project_id in projects]
    servers = [_server(site, *projects[server.project_id], server) for server in found]
    return sorted(servers, key=lambda s: (s.siren, s.environment, s.name))


def fetch_pages(servers: Collection[Server], tell: Callable[[str], None]) -> None:
    """Fetch each page that anyone may fetch, waiting for servers that still boot.

    A server that its tenant stopped shows none, which is said and is no failure; neither are servers that
    nobody may fetch a page of, the tenants' own among them.

    Raises:
        SocleError: a server is broken, or one that runs does not answer within two minutes (exit code 6).
    """
    broken = [server for server in servers if server.shows_page and server.status == BROKEN]
    if broken:
        raise SocleError(
            f"Nova could not make it run: {', '.join(server.title for server in broken)}",
            where=f"server {broken[0].name}",
            write=f"see why with `openstack server show {broken[0].name}`, under fault",
            exit_code=ExitCode.UNREACHABLE,
        )
    urls = [server.page for server in servers if server.page]
    off = [
        f"{server.title} is {server.status}" for server in servers if server.shows_page and not server.page
    ]
    tell("; ".join([f"{len(urls)} pages", *off]))
    with ThreadPoolExecutor(min(AT_ONCE, max(len(urls), 1))) as pool:
        list(pool.map(_fetch, urls))


def _fetch(url: str) -> None:
    end = time.monotonic() + PAGE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http of our own
                answer.read(1)  # a tenant's server may never end it
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if time.monotonic() > end:
                raise SocleError(
                    f"the page does not come: {error}",
                    where=url,
                    write="see the server's console with `openstack console log show`",
                    exit_code=ExitCode.UNREACHABLE,
                ) from error
            time.sleep(1)
        else:
            return


def _server(site: Site, siren: str, environment: str, server: Any) -> Server:
    addresses: dict[str, str] = {}
    for network in server.addresses.values():
        addresses |= {str(a["OS-EXT-IPS:type"]): str(a["addr"]) for a in network}
    tenant = site.tenants[siren]
    fixed, floating = addresses.get("fixed", ""), addresses.get("floating", "")
    page = bool(floating) and _shows_page(site, tenant, environment, server.name)
    title = tenant.organisation.name
    return Server(siren, title, environment, server.name, server.status, fixed, floating, page)


def _shows_page(site: Site, tenant: Tenant, environment: str, name: str) -> bool:
    anyone = any(rule.port == HTTP and rule.source == "internet" for rule in tenant.network.inbound)
    images = [s.image for s in tenant.servers if (s.environment, s.name) == (environment, name)]
    return anyone and any(site.images[image].build == "web" for image in images if image in site.images)
