"""What a tenant's stack makes, as plain data: a pure function of the site model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from socle.site import Site, Tenant
from socle.site.classes import Quota
from socle.site.tenant import Inbound, Outbound

AUTOMATION = "automation"
INTERNET = "0.0.0.0/0"
METADATA = "169.254.169.254/32"
BROADCAST = "255.255.255.255/32"
HTTP, DHCP = 80, 67


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
    public: bool
    volumes_gib: tuple[int, ...]


@dataclass(frozen=True)
class EnvironmentPlan:
    """One project of the tenant."""

    name: str
    segments: tuple[Segment, ...]
    servers: tuple[ServerPlan, ...]
    routed: bool


@dataclass(frozen=True)
class TenantPlan:
    """One domain with its projects."""

    siren: str
    domain: str
    description: str
    quota: Quota
    environments: tuple[EnvironmentPlan, ...]
    managers: tuple[str, ...]
    """Addresses of the people who manage the domain; each is an account until a federation knows them."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """All accounts that need a password."""
        return (AUTOMATION, *self.managers)


def domain_name(siren: str) -> str:
    """An opaque name: what other tenants may see of a domain says nothing of who it is."""
    return f"t-{hashlib.sha256(f'socle:{siren}'.encode()).hexdigest()[:12]}"


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
        managers=tenant.access.domain_managers,
    )


def _environment(site: Site, tenant: Tenant, name: str) -> EnvironmentPlan:
    subnets = [s for s in site.tenant_networks(tenant.siren) if s.environment == name]
    prefixes = {s.segment: str(s.prefix) for s in subnets}
    servers = tuple(
        ServerPlan(s.name, s.segment, s.flavor, s.image, s.public, s.volumes_gib)
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
        routed=bool(tenant.network.inbound or tenant.network.outbound or any(s.public for s in servers)),
    )


def platform_rules(gateway: str) -> tuple[Rule, ...]:
    """What a guest needs of the platform itself to learn its address and name; not the tenant's traffic."""
    return (
        Rule("egress", "udp", DHCP, DHCP, BROADCAST),
        Rule("egress", "udp", DHCP, DHCP, f"{gateway}/32"),
        Rule("egress", "tcp", HTTP, HTTP, METADATA),
    )


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
