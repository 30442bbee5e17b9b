"""What a tenant's stack makes, as plain data: a pure function of the site model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from socle.site import Site, Tenant
from socle.site.classes import Quota
from socle.site.tenant import Inbound, Outbound

AUTOMATION = "automation"
GROUPS = {"managers": "manager", "members": "member", "readers": "reader", "auditors": "reader"}
"""Groups of a domain and the role that each has on it and on its projects."""
INTERNET = "0.0.0.0/0"
METADATA = "169.254.169.254/32"
BROADCAST = "255.255.255.255/32"
HTTP, DHCP, DNS = 80, 67, 53


@dataclass(frozen=True)
class Rule:
    """One rule of a security group; what no rule names is refused, both ways."""

    direction: str
    """``ingress`` or ``egress``."""
    protocol: str
    first_port: int
    last_port: int
    prefix: str
    """The other side, CIDR."""

    @property
    def key(self) -> str:
        """Name of the rule's resource in the stack."""
        place = self.prefix.replace("/", "-")
        return f"{self.direction}-{self.protocol}-{self.first_port}-{self.last_port}-{place}"


@dataclass(frozen=True)
class Segment:
    """One network of one environment."""

    name: str
    prefix: str
    gateway: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class ServerPlan:
    """One server of one environment."""

    name: str
    segment: str
    flavor: str
    image: str
    system_gib: int
    """Size of the volume that it starts from."""
    public: bool
    volumes_gib: tuple[int, ...]


@dataclass(frozen=True)
class EnvironmentPlan:
    """One project of the tenant."""

    name: str
    segments: tuple[Segment, ...]
    servers: tuple[ServerPlan, ...]
    routed: bool
    name_servers: tuple[str, ...]
    """Given to guests by DHCP: those that the tenant's file lets them ask."""


@dataclass(frozen=True)
class TenantPlan:
    """One domain with its projects."""

    siren: str
    domain: str
    description: str
    quota: Quota
    environments: tuple[EnvironmentPlan, ...]
    tags: tuple[str, ...]
    """What its data is, for policies that look at projects: ``data-health`` for instance."""
    managers: tuple[str, ...]
    """Addresses of the people who manage the domain; each is an account until a federation knows them."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """All accounts that need a password."""
        return (AUTOMATION, *self.managers)


def domain_name(siren: str) -> str:
    """An opaque name: what other tenants may see of a domain says nothing of who it is."""
    return f"t-{hashlib.sha256(f'socle:{siren}'.encode()).hexdigest()[:12]}"


def unserved(site: Site, siren: str) -> str | None:
    """Why OpenStack does not serve a tenant now; None when it does."""
    state, target = site.tenant_state(siren), site.tenants[siren].target
    if state != "active":
        return f"is {state}"
    return "is for Proxmox" if target == "proxmox" else None


def plan_of(site: Site, siren: str) -> TenantPlan:
    """The plan of one tenant of a site.

    Raises:
        KeyError: the site has no such tenant.
    """
    tenant = site.tenants[siren]
    return TenantPlan(
        siren=siren,
        domain=domain_name(siren),
        description=f"{tenant.organisation.name} ({siren})",
        quota=site.tenant_quota(siren),
        environments=tuple(_environment(site, tenant, name) for name in tenant.lifecycle.environments),
        tags=_tags(tenant),
        managers=tenant.access.domain_managers,
    )


def _environment(site: Site, tenant: Tenant, name: str) -> EnvironmentPlan:
    subnets = [s for s in site.tenant_networks(tenant.siren) if s.environment == name]
    prefixes = {s.segment: str(s.prefix) for s in subnets}
    servers = tuple(
        ServerPlan(
            s.name, s.segment, s.flavor, s.image, site.flavors[s.flavor].disk_gib, s.public, s.volumes_gib
        )
        for s in tenant.servers
        if s.environment == name
    )
    return EnvironmentPlan(
        name=name,
        segments=tuple(
            Segment(
                s.segment,
                str(s.prefix),
                str(s.gateway),
                (*platform_rules(str(s.gateway)), *_rules(site, tenant, s.segment, prefixes)),
            )
            for s in subnets
        ),
        servers=servers,
        name_servers=_name_servers(site, tenant),
        routed=bool(tenant.network.inbound or tenant.network.outbound or any(s.public for s in servers)),
    )


def _tags(tenant: Tenant) -> tuple[str, ...]:
    tags = {f"data-{tenant.data.classification}", f"size-{tenant.size}", f"type-{tenant.organisation.type}"}
    return tuple(sorted(tags | ({"data-health"} if tenant.data.health_data else set())))


def _name_servers(site: Site, tenant: Tenant) -> tuple[str, ...]:
    named = [site.settings.destinations.get(rule.to) for rule in tenant.network.outbound]
    places = [place for place in named if place and DNS in {port.port for port in place.ports}]
    hosts = [p for place in places for p in place.prefixes if p.num_addresses == 1]
    return tuple(dict.fromkeys(str(host.network_address) for host in hosts))


GUEST_RULES = (Rule("egress", "udp", DHCP, DHCP, BROADCAST), Rule("egress", "tcp", HTTP, HTTP, METADATA))
"""What a guest needs of the platform to learn its address and who it is; no traffic of the tenant's."""


def platform_rules(gateway: str) -> tuple[Rule, ...]:
    """The guests' rules, with the one that renews an address."""
    return (*GUEST_RULES, Rule("egress", "udp", DHCP, DHCP, f"{gateway}/32"))


def _rules(site: Site, tenant: Tenant, segment: str, prefixes: dict[str, str]) -> tuple[Rule, ...]:
    inbound = [rule for rule in tenant.network.inbound if rule.segment in (None, segment)]
    outbound = [rule for rule in tenant.network.outbound if rule.segment in (None, segment)]
    rules = [r for rule in inbound for r in _inbound(rule, prefixes)]
    rules += [r for rule in outbound for r in _outbound(site, rule, prefixes)]
    return tuple(sorted(set(rules), key=lambda r: r.key))


def _inbound(rule: Inbound, prefixes: dict[str, str]) -> list[Rule]:
    if rule.source == "site":
        return []
    prefix = INTERNET if rule.source == "internet" else prefixes.get(rule.source, rule.source)
    return [Rule("ingress", rule.protocol, rule.port, rule.last_port or rule.port, prefix)]


def _outbound(site: Site, rule: Outbound, prefixes: dict[str, str]) -> list[Rule]:
    named = site.settings.destinations.get(rule.to)
    if named:
        return [
            Rule("egress", place.protocol, place.port, place.port, str(prefix))
            for prefix in named.prefixes
            for place in named.ports
        ]
    if rule.to == "site" or rule.port is None:
        return []
    prefix = INTERNET if rule.to == "internet" else prefixes.get(rule.to, rule.to)
    return [Rule("egress", rule.protocol, rule.port, rule.port, prefix)]
