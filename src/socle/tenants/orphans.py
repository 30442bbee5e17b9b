"""What a killed run had begun to make and could not record: removed, or recorded where a guest would feel it.

Pulumi writes into the state which operation it begins before it begins it. A creation that is still pending
in the state of a stack that nobody runs either never happened or left something that no state knows.
Creations that are not listed here are idempotent in the cloud: role assignments, memberships and quotas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openstack import exceptions

from socle.errors import SocleError
from socle.tenants.pending import Creation, creations
from socle.tenants.state import RESTORE

Found = Iterable[Any]
SECONDS = 120


@dataclass(frozen=True)
class Kind:
    """How things of one kind are found by what they were to be and deleted, and which came to nothing."""

    find: Callable[[Any, Creation], Found]
    delete: Callable[[Any, Any], Any]
    failed: Callable[[Any], bool] | None = None
    """None: what the state knows of this kind is there."""
    used: Callable[[Any, Any], bool] = lambda _cloud, _thing: False
    """Whether somebody relies on it: no run that was cut off at its creation had made that."""


def settle(
    cloud: Any, pending: Sequence[Mapping[str, Any]], resources: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Delete what pending creations left; of what the state knows, only what the cloud says has failed.

    Of domains, projects, accounts and groups only those that nobody uses: one in use was there before,
    and this machine has lost the state that knew it.

    Args:
        cloud: a connection of the administrator.
        pending: ``pending_operations`` of an exported state.
        resources: its ``resources``.

    Returns:
        The state's resources as they are now: without what had failed, so that it is made anew, and with
        attachments of volumes, which stay.
    """
    known = {str(resource["id"]): str(resource["urn"]) for resource in resources if resource.get("id")}
    adopted: list[dict[str, Any]] = []
    gone: set[str] = set()
    for creation in creations(pending, resources):
        if creation.type == VOLUME_ATTACHMENT:
            adopted += _adopted_attachment(cloud, creation)
        elif creation.type in KINDS:
            gone |= _remove(cloud, creation, known)
    return [*(dict(r) for r in resources if str(r.get("id")) not in gone), *adopted]


def _remove(cloud: Any, creation: Creation, known: Mapping[str, str]) -> set[str]:
    """Delete what a creation left; the identifiers of what the state knows of it and is no more."""
    kind, urn = KINDS[creation.type], creation.resource["urn"]
    try:
        found = list(kind.find(cloud, creation))
        bad = [left for left in found if str(left.id) not in known or (kind.failed and kind.failed(left))]
        for left in bad:
            if str(left.id) not in known and kind.used(cloud, left):
                raise _there_before(urn, left)
            kind.delete(cloud, left)
    except exceptions.SDKException as error:
        name = urn.rpartition("::")[2]
        raise SocleError(
            f"was left by an interrupted run and cannot be removed ({error})", where=name
        ) from error
    if kind.failed is None:
        return set()
    good = {str(thing.id) for thing in found} - {str(left.id) for left in bad}
    return {identifier for identifier, owner in known.items() if owner == urn and identifier not in good}


def _there_before(urn: str, thing: Any) -> SocleError:
    return SocleError(
        f"{thing.name} is there and in use, and the stacks of this machine do not know it",
        where=urn.rpartition("::")[2],
        write=RESTORE,
    )


def _adopted_attachment(cloud: Any, creation: Creation) -> list[dict[str, Any]]:
    """A volume that Nova attached: a guest that boots gives it back only after minutes."""
    server, volume = creation["instanceId"], creation["volumeId"]
    try:
        found = cloud.block_storage.get_volume(volume)
    except exceptions.NotFoundException:
        return []
    if found.status == "attaching":
        found = cloud.block_storage.wait_for_status(found, "in-use", ["error"], interval=1, wait=SECONDS)
    device = next((a["device"] for a in found.attachments or [] if a["server_id"] == server), None)
    if device is None:
        return []
    name = f"{server}/{volume}"
    outputs = {**creation.inputs, "id": name, "device": device, "region": creation.login.get("region")}
    return [{**creation.resource, "id": name, "outputs": outputs}]


def _in_project(creation: Creation) -> dict[str, Any]:
    project = creation.get("tenantId")
    return {"name": creation["name"], **({"project_id": project} if project else {})}


def _named(things: Iterable[Any], name: str) -> list[Any]:
    return [thing for thing in things if thing.name == name]


def _marked(things: Iterable[Any], creation: Creation) -> list[Any]:
    """Those with the mark of this very resource: people of the tenant may give theirs the same name."""
    mark = creation.get("metadata") or {}
    return [thing for thing in things if mark and mark.items() <= thing.metadata.items()]


def _projects(cloud: Any, creation: Creation) -> Found:
    if creation.get("isDomain"):
        return list(cloud.identity.domains(name=creation["name"]))
    return list(cloud.identity.projects(name=creation["name"], domain_id=creation["domainId"]))


def _project_used(cloud: Any, project: Any) -> bool:
    if project.resource_key != "domain":
        return any(cloud.identity.role_assignments(scope_project_id=project.id))
    owned = (cloud.identity.projects, cloud.identity.users, cloud.identity.groups)
    return any(any(things(domain_id=project.id)) for things in owned)


def _user_used(cloud: Any, user: Any) -> bool:
    given = cloud.identity.role_assignments(user_id=user.id)
    return any(given) or any(cloud.identity.user_groups(user))


def _group_used(cloud: Any, group: Any) -> bool:
    given = cloud.identity.role_assignments(group_id=group.id)
    return any(given) or any(cloud.identity.group_users(group))


def _delete_project(cloud: Any, project: Any) -> None:
    if project.resource_key == "domain":
        cloud.identity.update_domain(project, is_enabled=False)
        cloud.identity.delete_domain(project)
    else:
        cloud.identity.delete_project(project)


def _application_credentials(cloud: Any, creation: Creation) -> Found:
    owners = cloud.identity.users(name=creation.login["userName"], domain_id=creation.login["userDomainId"])
    return [
        credential
        for owner in owners
        for credential in cloud.identity.application_credentials(user=owner, name=creation["name"])
    ]


def _delete_application_credential(cloud: Any, credential: Any) -> None:
    cloud.identity.delete_application_credential(credential.user_id, credential)


def _router_interfaces(cloud: Any, creation: Creation) -> Found:
    ports = cloud.network.ports(device_id=creation["routerId"])
    return [p for p in ports if creation["subnetId"] in {ip["subnet_id"] for ip in p.fixed_ips}]


def _rules(cloud: Any, creation: Creation) -> Found:
    return [
        rule
        for rule in cloud.network.security_group_rules(
            security_group_id=creation["securityGroupId"], direction=creation["direction"]
        )
        if (rule.protocol, rule.port_range_min, rule.port_range_max, rule.remote_ip_prefix)
        == tuple(creation.get(key) for key in ("protocol", "portRangeMin", "portRangeMax", "remoteIpPrefix"))
    ]


def _servers(cloud: Any, creation: Creation) -> Found:
    return _marked(cloud.compute.servers(all_projects=True, project_id=creation.login["tenantId"]), creation)


def _delete_server(cloud: Any, server: Any) -> None:
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server, interval=1, wait=SECONDS)


def _volumes(cloud: Any, creation: Creation) -> Found:
    volumes = cloud.block_storage.volumes(all_projects=True, project_id=creation.login["tenantId"])
    return _marked(volumes, creation)


def _delete_volume(cloud: Any, volume: Any) -> None:
    if volume.status == "creating":
        volume = cloud.block_storage.wait_for_status(volume, "available", ["error"], interval=1, wait=SECONDS)
    if not volume.attachments:
        cloud.block_storage.delete_volume(volume)
        cloud.block_storage.wait_for_delete(volume, interval=1, wait=SECONDS)


VOLUME_ATTACHMENT = "openstack:compute/volumeAttach:VolumeAttach"
KINDS: dict[str, Kind] = {
    "openstack:identity/project:Project": Kind(_projects, _delete_project, used=_project_used),
    "openstack:identity/user:User": Kind(
        lambda cloud, it: cloud.identity.users(name=it["name"], domain_id=it["domainId"]),
        lambda cloud, user: cloud.identity.delete_user(user),
        used=_user_used,
    ),
    "openstack:identity/groupV3:GroupV3": Kind(
        lambda cloud, it: cloud.identity.groups(name=it["name"], domain_id=it["domainId"]),
        lambda cloud, group: cloud.identity.delete_group(group),
        used=_group_used,
    ),
    "openstack:identity/applicationCredential:ApplicationCredential": Kind(
        _application_credentials, _delete_application_credential
    ),
    "openstack:networking/network:Network": Kind(
        lambda cloud, it: cloud.network.networks(**_in_project(it)),
        lambda cloud, network: cloud.network.delete_network(network),
    ),
    "openstack:networking/subnet:Subnet": Kind(
        lambda cloud, it: cloud.network.subnets(network_id=it["networkId"], name=it["name"]),
        lambda cloud, subnet: cloud.network.delete_subnet(subnet),
    ),
    "openstack:networking/router:Router": Kind(
        lambda cloud, it: cloud.network.routers(**_in_project(it)),
        lambda cloud, router: cloud.network.delete_router(router),
    ),
    "openstack:networking/routerInterface:RouterInterface": Kind(
        _router_interfaces,
        lambda cloud, port: cloud.network.remove_interface_from_router(port.device_id, port_id=port.id),
    ),
    "openstack:networking/secGroup:SecGroup": Kind(
        lambda cloud, it: cloud.network.security_groups(**_in_project(it)),
        lambda cloud, group: cloud.network.delete_security_group(group),
    ),
    "openstack:networking/secGroupRule:SecGroupRule": Kind(
        _rules, lambda cloud, rule: cloud.network.delete_security_group_rule(rule)
    ),
    "openstack:networking/port:Port": Kind(
        lambda cloud, it: cloud.network.ports(network_id=it["networkId"], name=it["name"]),
        lambda cloud, port: cloud.network.delete_port(port),
    ),
    "openstack:networking/floatingIp:FloatingIp": Kind(
        lambda cloud, it: cloud.network.ips(port_id=it["portId"]),
        lambda cloud, address: cloud.network.delete_ip(address),
    ),
    "openstack:networking/addressScope:AddressScope": Kind(
        lambda cloud, it: cloud.network.address_scopes(name=it["name"]),
        lambda cloud, scope: cloud.network.delete_address_scope(scope),
    ),
    "openstack:networking/subnetPool:SubnetPool": Kind(
        lambda cloud, it: cloud.network.subnet_pools(name=it["name"]),
        lambda cloud, pool: cloud.network.delete_subnet_pool(pool),
    ),
    "openstack:compute/flavor:Flavor": Kind(
        lambda cloud, it: _named(cloud.compute.flavors(), it["name"]),
        lambda cloud, flavor: cloud.compute.delete_flavor(flavor),
    ),
    "openstack:compute/instance:Instance": Kind(
        _servers, _delete_server, lambda server: server.status == "ERROR"
    ),
    "openstack:images/image:Image": Kind(
        lambda cloud, it: cloud.image.images(name=it["name"]),
        lambda cloud, image: cloud.image.delete_image(image),
    ),
    "openstack:blockstorage/volumeTypeV3:VolumeTypeV3": Kind(
        lambda cloud, it: _named(cloud.block_storage.types(), it["name"]),
        lambda cloud, kind: cloud.block_storage.delete_type(kind),
    ),
    "openstack:blockstorage/volume:Volume": Kind(
        _volumes, _delete_volume, lambda volume: volume.status == "error"
    ),
}
