"""A tenant's stack as one component.

The administrator makes the domain, its projects, accounts and networks; servers and volumes belong to a
project, so that a second provider, logged in as the tenant's automation account, makes those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_openstack import Provider, blockstorage, compute, identity, networking

from stacks.platform import VOLUME_TYPE
from stacks.tenant.plan import AUTOMATION, GROUPS, EnvironmentPlan, Segment, ServerPlan, TenantPlan

PROVIDER_NETWORK = "provider"
GIB = 1024


@dataclass(frozen=True)
class Platform:
    """Ids of what the platform stack and Keystone's bootstrap made."""

    external_network: str
    roles: dict[str, str]
    flavors: dict[str, str]
    images: dict[str, str]


ProjectProvider = Callable[[str, identity.User, identity.Project, pulumi.ResourceOptions], Provider]
"""Makes the provider that works inside one project: name, account, project."""


class TenantStack(pulumi.ComponentResource):
    """Domain, groups, automation account, and each environment's project with all that is in it."""

    def __init__(
        self,
        plan: TenantPlan,
        platform: Platform,
        provider: Provider,
        passwords: Mapping[str, pulumi.Input[str]],
        project_provider: ProjectProvider,
    ) -> None:
        super().__init__(
            "socle:tenant:Tenant", plan.domain, None, pulumi.ResourceOptions(providers=[provider])
        )
        self.plan, self.platform, self.project_provider = plan, platform, project_provider
        self.options = pulumi.ResourceOptions(parent=self, provider=provider)
        self.domain = identity.Project(
            "domain", name=plan.domain, description=plan.description, is_domain=True, opts=self.options
        )
        self.groups = {
            name: identity.GroupV3(name, name=name, domain_id=self.domain.id, opts=self.options)
            for name in GROUPS
        }
        for name, role in GROUPS.items():
            self._assign(f"domain-{name}", role, domain_id=self.domain.id, group_id=self.groups[name].id)
        self.automation = identity.User(
            "automation",
            name=AUTOMATION,
            description="Makes the servers and volumes that the tenant's file asks for",
            domain_id=self.domain.id,
            password=passwords[AUTOMATION],
            ignore_change_password_upon_first_use=True,
            ignore_lockout_failure_attempts=True,
            ignore_password_expiry=True,
            opts=self.options,
        )
        for manager in plan.managers:
            self._manager(manager, passwords[manager])
        self.credentials = {e.name: self._environment(e) for e in plan.environments}
        """The application credential of each environment's project."""
        self.register_outputs({})

    def _manager(self, address: str, password: pulumi.Input[str]) -> None:
        """A person who manages the domain: by two factors, of which the first ones wait in OpenBao."""
        account = identity.User(
            address,
            name=address,
            domain_id=self.domain.id,
            password=password,
            multi_factor_auth_enabled=True,
            multi_factor_auth_rules=[identity.UserMultiFactorAuthRuleArgs(rules=["password", "totp"])],
            opts=pulumi.ResourceOptions.merge(
                self.options, pulumi.ResourceOptions(ignore_changes=["password"])
            ),
        )
        identity.UserMembershipV3(
            address, user_id=account.id, group_id=self.groups["managers"].id, opts=self.options
        )

    def _assign(self, name: str, role: str, **whom: pulumi.Input[str]) -> identity.RoleAssignment:
        return identity.RoleAssignment(name, role_id=self.platform.roles[role], opts=self.options, **whom)

    def _environment(self, plan: EnvironmentPlan) -> identity.ApplicationCredential:
        project = identity.Project(
            plan.name,
            name=plan.name,
            domain_id=self.domain.id,
            parent_id=self.domain.id,
            tags=list(self.plan.tags),
            opts=self.options,
        )
        for name, role in GROUPS.items():
            self._assign(f"{plan.name}-{name}", role, project_id=project.id, group_id=self.groups[name].id)
        member = self._assign(
            f"{plan.name}-automation", "member", project_id=project.id, user_id=self.automation.id
        )
        quotas = self._quotas(plan, project)
        router = self._router(plan, project, quotas) if plan.routed else None
        networks = {s.name: self._segment(plan, s, project, router, quotas) for s in plan.segments}
        inside = self.project_provider(
            plan.name, self.automation, project, pulumi.ResourceOptions(parent=self, depends_on=[member])
        )
        for server in plan.servers:
            self._server(plan.name, server, networks[server.segment], project, inside)
        return identity.ApplicationCredential(
            f"{plan.name}-automation",
            name=f"{plan.name}-automation",
            description="For the tenant's own automation, limited to this project",
            roles=["member"],
            opts=pulumi.ResourceOptions(parent=self, provider=inside),
        )

    def _quotas(self, plan: EnvironmentPlan, project: identity.Project) -> list[pulumi.Resource]:
        """Networks are those of the file: a project makes none of its own, and shares none."""
        name, quota = plan.name, self.plan.quota
        return [
            compute.QuotaSetV2(
                name,
                project_id=project.id,
                cores=quota.vcpu,
                ram=quota.ram_gib * GIB,
                instances=quota.servers,
                opts=self.options,
            ),
            blockstorage.QuoteSetV3(
                name,
                project_id=project.id,
                gigabytes=quota.volume_gib,
                volumes=quota.volumes,
                snapshots=quota.snapshots,
                opts=self.options,
            ),
            networking.QuotaV2(
                name,
                project_id=project.id,
                floatingip=quota.public_ips,
                security_group=quota.security_groups,
                network=len(plan.segments),
                subnet=len(plan.segments),
                router=int(plan.routed),
                subnetpool=0,
                rbac_policy=0,
                opts=self.options,
            ),
        ]

    def _router(
        self, plan: EnvironmentPlan, project: identity.Project, quotas: list[pulumi.Resource]
    ) -> networking.Router:
        # After the quotas: Neutron counts a router in the making twice, and refuses a quota of one.
        after = pulumi.ResourceOptions.merge(self.options, pulumi.ResourceOptions(depends_on=quotas))
        return networking.Router(
            plan.name,
            name=plan.name,
            tenant_id=project.id,
            external_network_id=self.platform.external_network,
            opts=after,
        )

    def _segment(
        self,
        environment: EnvironmentPlan,
        plan: Segment,
        project: identity.Project,
        router: networking.Router | None,
        quotas: list[pulumi.Resource],
    ) -> _Wire:
        name = f"{environment.name}-{plan.name}"
        after = pulumi.ResourceOptions.merge(self.options, pulumi.ResourceOptions(depends_on=quotas))
        network = networking.Network(name, name=plan.name, tenant_id=project.id, opts=after)
        subnet = networking.Subnet(
            name,
            name=plan.name,
            network_id=network.id,
            tenant_id=project.id,
            cidr=plan.prefix,
            gateway_ip=plan.gateway,
            ip_version=4,
            dns_nameservers=list(environment.name_servers),
            opts=self.options,
        )
        interface = None
        if router:
            interface = networking.RouterInterface(
                name, router_id=router.id, subnet_id=subnet.id, opts=self.options
            )
        group = networking.SecGroup(
            name,
            name=plan.name,
            description=f"Exactly what the tenant's file says of segment {plan.name}",
            tenant_id=project.id,
            delete_default_rules=True,
            opts=after,
        )
        rules: list[pulumi.Resource] = [
            networking.SecGroupRule(
                f"{name}-{rule.key}",
                security_group_id=group.id,
                tenant_id=project.id,
                direction=rule.direction,
                ethertype="IPv4",
                protocol=rule.protocol,
                port_range_min=rule.first_port,
                port_range_max=rule.last_port,
                remote_ip_prefix=rule.prefix,
                opts=self.options,
            )
            for rule in plan.rules
        ]
        return _Wire(name, network, subnet, group, interface, rules)

    def _server(
        self, environment: str, plan: ServerPlan, wire: _Wire, project: identity.Project, inside: Provider
    ) -> None:
        name = f"{environment}-{plan.name}"
        options = pulumi.ResourceOptions(parent=self, provider=inside)
        port = networking.Port(
            name,
            name=plan.name,
            network_id=wire.network.id,
            tenant_id=project.id,
            security_group_ids=[wire.group.id],
            fixed_ips=[{"subnet_id": wire.subnet.id}],
            opts=pulumi.ResourceOptions.merge(self.options, pulumi.ResourceOptions(depends_on=wire.rules)),
        )
        server = compute.Instance(
            name,
            name=plan.name,
            flavor_id=self.platform.flavors[plan.flavor],
            block_devices=[
                {
                    "uuid": self._system(name, plan, options).id,
                    "source_type": "volume",
                    "destination_type": "volume",
                    "boot_index": 0,
                    "delete_on_termination": False,
                }
            ],
            networks=[{"port": port.id}],
            metadata=self._mark(name),
            opts=options,
        )
        if plan.public:
            waits = [wire.interface] if wire.interface else []
            networking.FloatingIp(
                name,
                pool=PROVIDER_NETWORK,
                tenant_id=project.id,
                port_id=port.id,
                opts=pulumi.ResourceOptions.merge(self.options, pulumi.ResourceOptions(depends_on=waits)),
            )
        for index, size in enumerate(plan.volumes_gib, start=1):
            volume = self._volume(f"{name}-{index}", f"{plan.name}-{index}", size, options)
            compute.VolumeAttach(f"{name}-{index}", instance_id=server.id, volume_id=volume.id, opts=options)

    def _system(self, key: str, plan: ServerPlan, options: pulumi.ResourceOptions) -> blockstorage.Volume:
        """What a server starts from, encrypted as every volume is; it goes with its server."""
        # A newer image of the same name is for new servers: replacing one would lose what is on it.
        lasting = pulumi.ResourceOptions(ignore_changes=["imageId", "volumeType"])
        return blockstorage.Volume(
            f"{key}-system",
            name=f"{plan.name}-system",
            size=plan.system_gib,
            image_id=self.platform.images[plan.image],
            volume_type=VOLUME_TYPE,
            metadata=self._mark(f"{key}-system"),
            opts=pulumi.ResourceOptions.merge(options, lasting),
        )

    def _volume(self, key: str, name: str, size: int, options: pulumi.ResourceOptions) -> blockstorage.Volume:
        """A volume that no change of the tenant's file deletes: an ``up`` that would is refused."""
        return blockstorage.Volume(
            key,
            name=name,
            size=size,
            volume_type=VOLUME_TYPE,
            enable_online_resize=True,
            metadata=self._mark(key),
            opts=pulumi.ResourceOptions.merge(
                options, pulumi.ResourceOptions(protect=True, ignore_changes=["volumeType"])
            ),
        )

    def _mark(self, key: str) -> dict[str, str]:
        """Tells whose resource it is, should a run be killed before it can write that down."""
        return {"socle_stack": self.plan.domain, "socle_resource": key}


@dataclass(frozen=True)
class _Wire:
    """A segment's network with what its servers need of it."""

    name: str
    network: networking.Network
    subnet: networking.Subnet
    group: networking.SecGroup
    interface: networking.RouterInterface | None
    rules: list[pulumi.Resource]
