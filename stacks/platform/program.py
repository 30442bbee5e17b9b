"""The platform stack as one component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_openstack import Provider, blockstorage, compute, images, networking

from socle.images import ImageFiles
from socle.site import Site
from socle.site.settings import VOLUME_TYPE

PHYSICAL_NETWORK = "provider"
"""Name of the physical network that Neutron's configuration maps to the provider bridge."""


@dataclass(frozen=True)
class FlavorPlan:
    """A size of server."""

    vcpus: int
    ram_mib: int


@dataclass(frozen=True)
class ImagePlan:
    """A guest image and the least that it needs."""

    files: ImageFiles
    min_ram_mib: int
    min_disk_gib: int
    properties: Mapping[str, str]


@dataclass(frozen=True)
class PlatformPlan:
    """What the stack makes, from the site model."""

    flavors: Mapping[str, FlavorPlan]
    images: Mapping[str, ImagePlan]
    provider_prefix: str
    provider_gateway: str | None
    provider_pool: tuple[str, str] | None
    tenant_pool: str


def plan_of(site: Site, files: Mapping[str, ImageFiles]) -> PlatformPlan:
    """The plan of a site; ``files`` are those of its images by name."""
    zone = site.zones["provider"]
    return PlatformPlan(
        flavors={name: FlavorPlan(f.vcpus, f.ram_mib) for name, f in site.flavors.items()},
        images={
            name: ImagePlan(files[name], image.min_ram_mib, image.min_disk_gib, dict(image.properties))
            for name, image in site.images.items()
        },
        provider_prefix=str(zone.prefix),
        provider_gateway=str(zone.gateway) if zone.gateway else None,
        provider_pool=(str(zone.pool.first), str(zone.pool.last)) if zone.pool else None,
        tenant_pool=str(site.settings.tenant_pool),
    )


class Platform(pulumi.ComponentResource):
    """Flavors, images, provider network, address scope and pool, volume type."""

    def __init__(self, plan: PlatformPlan, provider: Provider) -> None:
        super().__init__(
            "socle:platform:Platform", "platform", None, pulumi.ResourceOptions(providers=[provider])
        )
        self.options = pulumi.ResourceOptions(parent=self, provider=provider)
        # Two flavors or volume types of one name cannot stand beside each other, not even for a moment.
        self.unique = pulumi.ResourceOptions.merge(
            self.options, pulumi.ResourceOptions(delete_before_replace=True)
        )
        for name, flavor in plan.flavors.items():
            compute.Flavor(
                name,
                name=name,
                vcpus=flavor.vcpus,
                ram=flavor.ram_mib,
                # No disk on the hypervisor, where nothing encrypts it: servers start from volumes.
                disk=0,
                is_public=True,
                opts=self.unique,
            )
        for name, image in plan.images.items():
            self._image(name, image)
        self._provider_network(plan)
        self._tenant_pool(plan)
        blockstorage.VolumeTypeV3(VOLUME_TYPE, name=VOLUME_TYPE, is_public=True, opts=self.unique)
        self.register_outputs({})

    def _image(self, name: str, plan: ImagePlan) -> None:
        properties: dict[str, pulumi.Input[str]] = {**plan.files.properties, **plan.properties}
        if plan.files.kernel and plan.files.ramdisk:
            properties["kernel_id"] = self._file(f"{name}-kernel", str(plan.files.kernel), "aki").id
            properties["ramdisk_id"] = self._file(f"{name}-ramdisk", str(plan.files.ramdisk), "ari").id
        images.Image(
            name,
            name=name,
            local_file_path=str(plan.files.disk),
            disk_format=plan.files.disk_format,
            container_format="bare",
            visibility="public",
            min_ram_mb=plan.min_ram_mib,
            min_disk_gb=plan.min_disk_gib,
            properties=properties,
            opts=self.options,
        )

    def _file(self, name: str, path: str, kind: str) -> images.Image:
        return images.Image(
            name,
            name=name,
            local_file_path=path,
            disk_format=kind,
            container_format=kind,
            visibility="public",
            opts=self.options,
        )

    def _provider_network(self, plan: PlatformPlan) -> None:
        network = networking.Network(
            "provider",
            name="provider",
            external=True,
            segments=[{"network_type": "flat", "physical_network": PHYSICAL_NETWORK}],
            opts=self.options,
        )
        pools = (
            [{"start": plan.provider_pool[0], "end": plan.provider_pool[1]}] if plan.provider_pool else None
        )
        networking.Subnet(
            "provider",
            name="provider",
            network_id=network.id,
            cidr=plan.provider_prefix,
            ip_version=4,
            gateway_ip=plan.provider_gateway,
            enable_dhcp=False,
            allocation_pools=pools,
            opts=self.options,
        )

    def _tenant_pool(self, plan: PlatformPlan) -> None:
        """The pool is not shared: prefixes are allotted by the site model, tenants take none themselves."""
        scope = networking.AddressScope("tenants", name="tenants", ip_version=4, opts=self.options)
        networking.SubnetPool(
            "tenants",
            name="tenants",
            prefixes=[plan.tenant_pool],
            address_scope_id=scope.id,
            min_prefixlen=24,
            max_prefixlen=29,
            default_prefixlen=28,
            opts=self.options,
        )
