"""What OpenStack says of its agents, and how much of its capacity is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from socle.catalogue import Catalogue
from socle.cloud import connect
from socle.deploy.status.finding import Fact, Finding, Section, unanswered
from socle.errors import SocleError
from socle.site import Site

Question = Callable[[Any], list[Finding]]
AGENTS = ("agents", "Agents")
CAPACITY = ("capacity", "Capacity")
MIB_PER_GIB = 1024
RESOURCES = {"VCPU": ("vCPU", 1), "MEMORY_MB": ("memory, GiB", MIB_PER_GIB)}


def cloud_sections(site: Site, services: Catalogue) -> list[Section]:
    """Agents and capacity; when the login fails, why."""
    try:
        cloud = connect(site, services)
        cloud.authorize()
    except SocleError as error:
        return [unanswered(*AGENTS, str(error)), unanswered(*CAPACITY, str(error))]
    except Exception as error:  # noqa: BLE001 - openstacksdk lets those of requests and of keystoneauth through
        reason = f"Keystone does not let the administrator in: {_short(error)}"
        return [unanswered(*AGENTS, reason), unanswered(*CAPACITY, reason)]
    agents = {"Nova": _compute, "Neutron": _network, "Cinder": _volumes}
    capacity = {"Placement": _hypervisors, "Cinder": _pools, "Neutron": _addresses}
    return [_section(AGENTS, cloud, agents), _section(CAPACITY, cloud, capacity)]


def _section(title: tuple[str, str], cloud: Any, questions: Mapping[str, Question]) -> Section:
    findings = [finding for api, ask in questions.items() for finding in _answer(api, ask, cloud)]
    return Section(*title, tuple(findings))


def _answer(api: str, ask: Question, cloud: Any) -> list[Finding]:
    """The findings of one API, or that it could not be asked."""
    try:
        return ask(cloud)
    except Exception as error:  # noqa: BLE001 - openstacksdk lets those of requests and of keystoneauth through
        return [Finding(api, "not evaluated", reason=_short(error))]


def _agent(kind: str, host: str, *, alive: bool, enabled: bool) -> Finding:
    facts: dict[str, Fact] = {
        "alive": "yes" if alive else "no",
        "enabled": "yes" if enabled else "no",
    }
    reason = "" if alive else "has not reported for a while; look at its unit on the node"
    return Finding(f"{kind} on {host}", "well" if alive else "not well", facts, reason)


def _compute(cloud: Any) -> list[Finding]:
    return [
        _agent(s.binary, s.host, alive=s.state == "up", enabled=s.status == "enabled")
        for s in cloud.compute.services()
    ]


def _network(cloud: Any) -> list[Finding]:
    return [
        _agent(a.binary or a.agent_type, a.host, alive=bool(a.is_alive), enabled=bool(a.is_admin_state_up))
        for a in cloud.network.agents()
    ]


def _volumes(cloud: Any) -> list[Finding]:
    return [
        _agent(s.binary, s.host, alive=s.state == "up", enabled=s.status == "enabled")
        for s in cloud.block_storage.services()
    ]


def _used(subject: str, used: float, total: float) -> Finding:
    share = f"{100 * used / total:.0f} %" if total else ""
    return Finding(subject, "well", {"used": round(used, 1), "total": round(total, 1), "share": share})


def _hypervisors(cloud: Any) -> list[Finding]:
    """Sum over Placement's providers, with allocation ratios and without what is reserved."""
    totals = dict.fromkeys(RESOURCES, 0.0)
    used = dict.fromkeys(RESOURCES, 0.0)
    for provider in cloud.placement.resource_providers():
        path = f"/resource_providers/{provider.id}"
        inventories = cloud.placement.get(f"{path}/inventories").json()["inventories"]
        usages = cloud.placement.get(f"{path}/usages").json()["usages"]
        for name in RESOURCES:
            if name in inventories:
                has = inventories[name]
                totals[name] += (has["total"] - has["reserved"]) * has["allocation_ratio"]
                used[name] += usages.get(name, 0)
    return [_used(label, used[n] / unit, totals[n] / unit) for n, (label, unit) in RESOURCES.items()]


def _pools(cloud: Any) -> list[Finding]:
    pools = [pool.capabilities for pool in cloud.block_storage.backend_pools()]
    allocated = sum(float(pool.get("allocated_capacity_gb", 0)) for pool in pools)
    return [_used("volumes, GiB", allocated, sum(float(pool["total_capacity_gb"]) for pool in pools))]


def _addresses(cloud: Any) -> list[Finding]:
    outside = [network.id for network in cloud.network.networks(is_router_external=True)]
    found = [a for a in cloud.network.network_ip_availabilities() if a.network_id in outside]
    used, total = sum(a.used_ips for a in found), sum(a.total_ips for a in found)
    return [_used("floating addresses", used, total)]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
