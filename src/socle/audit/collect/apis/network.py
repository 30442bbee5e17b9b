"""Networking: what could let two projects meet, and what each port lets in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from socle.audit.collect.apis.reader import PAGE, Reader

NETWORK = "network"
OWN, ROUTER = "network:", "network:router_interface"
"""Owners that Neutron's own services have; a project may write any other on its ports, in any letters."""


def read(reader: Reader) -> Iterator[tuple[str, Any]]:
    """Each fact of Neutron."""
    networks = list(reader.every(NETWORK, "/networks", "networks", limit=PAGE))
    yield "neutron.networks", _networks(reader, networks)
    yield "neutron.ports", _ports(reader, networks)
    yield "neutron.groups", _groups(reader)
    yield "neutron.rbac", _rbac(reader, networks)
    yield "neutron.agents", _agents(reader)


def _networks(reader: Reader, networks: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    subnets: dict[str, list[str]] = {}
    for subnet in reader.every(NETWORK, "/subnets", "subnets", limit=PAGE):
        subnets.setdefault(subnet["network_id"], []).append(subnet["cidr"])
    found = [
        {
            "name": one["name"],
            "project": reader.project(one["project_id"]),
            "shared": one["shared"],
            "external": one["router:external"],
            "port_security": one.get("port_security_enabled"),
            "type": one.get("provider:network_type"),
            "segment": one.get("provider:segmentation_id"),
            "prefixes": sorted(subnets.get(one["id"], [])),
        }
        for one in networks
    ]
    return sorted(found, key=lambda one: (one["project"], one["name"]))


def _ports(reader: Reader, networks: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All ports but those of Neutron's own services; those of routers are told, too."""
    owner = {one["id"]: reader.project(one["project_id"]) for one in networks}
    found = []
    for port in reader.every(NETWORK, "/ports", "ports", limit=PAGE):
        if port["device_owner"].startswith(OWN) and not port["device_owner"].startswith(ROUTER):
            continue
        found.append(
            {
                "id": port["id"],
                "project": reader.project(port["project_id"]),
                "of_network": owner.get(port["network_id"], "?"),
                "owner": port["device_owner"],
                "port_security": port.get("port_security_enabled"),
                "groups": len(port.get("security_groups") or []),
                "extra_addresses": len(port.get("allowed_address_pairs") or []),
            }
        )
    return sorted(found, key=lambda one: one["id"])


def _groups(reader: Reader) -> list[dict[str, Any]]:
    """Security groups; a rule reads ``ingress tcp 80-80 0.0.0.0/0``, ``any`` standing for no limit."""
    found = []
    for group in reader.every(NETWORK, "/security-groups", "security_groups", limit=PAGE):
        rules = [_rule(rule) for rule in group["security_group_rules"]]
        found.append(
            {
                "name": group["name"],
                "project": reader.project(group["project_id"]),
                "ingress": sorted(text for way, text in rules if way == "ingress"),
                "egress": sorted(text for way, text in rules if way == "egress"),
            }
        )
    return sorted(found, key=lambda one: (one["project"], one["name"], one["ingress"]))


def _rule(rule: Mapping[str, Any]) -> tuple[str, str]:
    low, high = rule["port_range_min"], rule["port_range_max"]
    ports = "any" if low is None else f"{low}-{high}"
    other = rule["remote_ip_prefix"] or ("same-group" if rule["remote_group_id"] else "any")
    return rule["direction"], f"{rule['protocol'] or 'any'} {ports} {other}"


def _rbac(reader: Reader, networks: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who was given access to a thing of another project."""
    names = {one["id"]: one["name"] for one in networks}
    found = [
        {
            "type": one["object_type"],
            "object": names.get(one["object_id"], one["object_id"][:8]),
            "action": one["action"],
            "project": reader.project(one["project_id"]),
            "given_to": "*" if one["target_tenant"] == "*" else reader.project(one["target_tenant"]),
        }
        for one in reader.every(NETWORK, "/rbac-policies", "rbac_policies", limit=PAGE)
    ]
    return sorted(found, key=lambda one: (one["type"], one["object"], one["given_to"]))


def _agents(reader: Reader) -> list[dict[str, Any]]:
    found = [
        {"host": one["host"], "type": one["agent_type"], "alive": one["alive"]}
        for one in reader.every(NETWORK, "/agents", "agents")
    ]
    return sorted(found, key=lambda one: (one["host"], one["type"]))
