"""What a killed run made in the cloud without having recorded it: found by name and place, and deleted.

Pulumi writes into the state which operation it begins before it begins it. A creation that is still pending
in the state of a stack that nobody runs either never happened or left something that no state knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Found = Iterable[Any]
Inputs = Mapping[str, Any]


def _named(inputs: Inputs) -> dict[str, Any]:
    return {"name": inputs["name"]}


def _in_project(inputs: Inputs) -> dict[str, Any]:
    return {"name": inputs["name"], "project_id": inputs.get("tenantId")}


def _delete_project(cloud: Any, found: Any) -> None:
    if found.resource_key == "domain":
        cloud.identity.update_domain(found, is_enabled=False)
        cloud.identity.delete_domain(found)
    else:
        cloud.identity.delete_project(found)


def _delete_server(cloud: Any, server: Any) -> None:
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server, interval=1, wait=120)


FINDERS: dict[str, tuple[Callable[[Any, Inputs], Found], Callable[[Any, Any], Any]]] = {
    "openstack:identity/project:Project": (
        lambda cloud, i: (
            cloud.identity.domains(name=i["name"])
            if i.get("isDomain")
            else cloud.identity.projects(name=i["name"], domain_id=i["domainId"])
        ),
        _delete_project,
    ),
    "openstack:identity/user:User": (
        lambda cloud, i: cloud.identity.users(name=i["name"], domain_id=i["domainId"]),
        lambda cloud, it: cloud.identity.delete_user(it),
    ),
    "openstack:identity/groupV3:GroupV3": (
        lambda cloud, i: cloud.identity.groups(name=i["name"], domain_id=i["domainId"]),
        lambda cloud, it: cloud.identity.delete_group(it),
    ),
    "openstack:networking/network:Network": (
        lambda cloud, i: cloud.network.networks(**_in_project(i)),
        lambda cloud, it: cloud.network.delete_network(it),
    ),
    "openstack:networking/subnet:Subnet": (
        lambda cloud, i: cloud.network.subnets(network_id=i["networkId"]),
        lambda cloud, it: cloud.network.delete_subnet(it),
    ),
    "openstack:networking/router:Router": (
        lambda cloud, i: cloud.network.routers(**_in_project(i)),
        lambda cloud, it: cloud.network.delete_router(it),
    ),
    "openstack:networking/secGroup:SecGroup": (
        lambda cloud, i: cloud.network.security_groups(**_in_project(i)),
        lambda cloud, it: cloud.network.delete_security_group(it),
    ),
    "openstack:networking/secGroupRule:SecGroupRule": (
        lambda cloud, i: cloud.network.security_group_rules(
            security_group_id=i["securityGroupId"],
            direction=i["direction"],
            protocol=i.get("protocol"),
            port_range_min=i.get("portRangeMin"),
            port_range_max=i.get("portRangeMax"),
            remote_ip_prefix=i.get("remoteIpPrefix"),
        ),
        lambda cloud, it: cloud.network.delete_security_group_rule(it),
    ),
    "openstack:networking/port:Port": (
        lambda cloud, i: cloud.network.ports(network_id=i["networkId"], name=i["name"]),
        lambda cloud, it: cloud.network.delete_port(it),
    ),
    "openstack:networking/floatingIp:FloatingIp": (
        lambda cloud, i: cloud.network.ips(port_id=i["portId"]),
        lambda cloud, it: cloud.network.delete_ip(it),
    ),
    "openstack:networking/addressScope:AddressScope": (
        lambda cloud, i: cloud.network.address_scopes(**_named(i)),
        lambda cloud, it: cloud.network.delete_address_scope(it),
    ),
    "openstack:networking/subnetPool:SubnetPool": (
        lambda cloud, i: cloud.network.subnet_pools(**_named(i)),
        lambda cloud, it: cloud.network.delete_subnet_pool(it),
    ),
    "openstack:compute/flavor:Flavor": (
        lambda cloud, i: [f for f in cloud.compute.flavors() if f.name == i["name"]],
        lambda cloud, it: cloud.compute.delete_flavor(it),
    ),
    "openstack:images/image:Image": (
        lambda cloud, i: cloud.image.images(**_named(i)),
        lambda cloud, it: cloud.image.delete_image(it),
    ),
    "openstack:blockstorage/volumeTypeV3:VolumeTypeV3": (
        lambda cloud, i: [t for t in cloud.block_storage.types() if t.name == i["name"]],
        lambda cloud, it: cloud.block_storage.delete_type(it),
    ),
    "openstack:compute/instance:Instance": (
        lambda cloud, i: [
            server
            for net in i.get("networks", [])
            for server in cloud.compute.servers(all_projects=True, name=f"^{i['name']}$")
            if net.get("port") in {p.id for p in cloud.network.ports(device_id=server.id)}
        ],
        _delete_server,
    ),
    "openstack:blockstorage/volume:Volume": (
        lambda cloud, i: [
            v
            for v in cloud.block_storage.volumes(all_projects=True, name=i["name"])
            if v.size == i["size"] and not v.attachments
        ],
        lambda cloud, it: cloud.block_storage.delete_volume(it, force=True),
    ),
}


def remove(cloud: Any, pending: Iterable[Mapping[str, Any]], resources: Iterable[Mapping[str, Any]]) -> None:
    """Delete what pending creations left; what the state knows is never touched.

    Args:
        pending: ``pending_operations`` of an exported state.
        resources: its ``resources``.
    """
    known = {resource.get("id") for resource in resources}
    for operation in pending:
        resource = operation["resource"]
        if operation["type"] != "creating" or resource["type"] not in FINDERS:
            continue
        find, delete = FINDERS[resource["type"]]
        for left in list(find(cloud, resource.get("inputs") or {})):
            if left.id not in known:
                delete(cloud, left)
