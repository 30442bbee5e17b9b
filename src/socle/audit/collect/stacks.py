"""The tenants' stacks: before a deployment what they will make, after it how their states are sealed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.site import Site
from socle.tenants.state import StackFiles, folder_of
from stacks.tenant.plan import (
    GROUPS,
    GUEST_RULES,
    EnvironmentPlan,
    Rule,
    TenantPlan,
    domain_name,
    plan_of,
    unserved,
)

PLATFORM: Final = "platform"
SECRET: Final = re.compile(r"(password|secret|token|privatekey|payload)$", re.IGNORECASE)
SEALED: Final = "4dabf18193072939515e22adb298388d"
"""Key by which Pulumi marks a value that its state holds encrypted."""


def of_stacks(site: Site) -> tuple[str, ...]:
    """The platform, and each tenant that OpenStack serves."""
    return (PLATFORM, *(domain_name(siren) for siren in _served(site)))


def read_states(site: Site) -> Iterator[Fact]:
    """How the state of each stack stands on the machine that deploys; values of secrets are never read."""
    for name in of_stacks(site):
        files = StackFiles(name, folder_of(site))
        try:
            state, unsettled = files.latest(), files.unsettled()
        except SocleError as error:
            yield Fact(name="stack.state", subject=name, problem=str(error))
            continue
        if not state:
            yield Fact(name="stack.state", subject=name, problem="aucun état sur la machine qui déploie")
            continue
        yield Fact(name="stack.state", subject=name, value=_state(name, state, len(unsettled)))


def _state(name: str, state: Mapping[str, Any], unsettled: int) -> dict[str, Any]:
    provider = ((state.get("secrets_providers") or {}).get("state") or {}).get("url") or ""
    resources = state.get("resources") or []
    clear = {
        f"{resource['type']} {path}"
        for resource in resources
        for part in ("inputs", "outputs")
        for path in _in_clear(resource.get(part) or {}, part)
    }
    return {
        "resources": len(resources),
        "unsettled": unsettled,
        "seal": provider,
        "own_key": provider == f"hashivault://stack-{name}",
        "in_clear": sorted(clear),
    }


def _in_clear(value: Any, path: str) -> Iterator[str]:
    """Where a value stands in clear under the name of a secret."""
    if isinstance(value, dict) and SEALED not in value:
        for key, item in value.items():
            if SECRET.search(key) and isinstance(item, str) and item:
                yield f"{path}/{key}"
            yield from _in_clear(item, f"{path}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _in_clear(item, path)


def read_plans(site: Site) -> Iterator[Fact]:
    """What the stacks of the tenants will make, in the form in which the cloud's APIs are read."""
    plans = [plan_of(site, siren) for siren in _served(site)]
    inside = [(plan, environment) for plan in plans for environment in plan.environments]
    values = {
        "keystone.projects": {
            f"{plan.domain}/{environment.name}": {"enabled": True, "tags": sorted(plan.tags)}
            for plan, environment in inside
        },
        "keystone.assignments": [one for plan in plans for one in _assignments(plan)],
        "neutron.networks": [one for pair in inside for one in _networks(*pair)],
        "neutron.groups": [one for pair in inside for one in _groups(*pair)],
    }
    for name, value in values.items():
        yield Fact(name=name, subject=site.name, value=value)


def _assignments(plan: TenantPlan) -> list[dict[str, str]]:
    scopes = [f"domain {plan.domain}", *(f"project {plan.domain}/{e.name}" for e in plan.environments)]
    return [
        {"who": f"group {plan.domain}/{group}", "role": role, "scope": scope}
        for scope in scopes
        for group, role in sorted(GROUPS.items())
    ]


def _networks(plan: TenantPlan, environment: EnvironmentPlan) -> list[dict[str, Any]]:
    return [
        {
            "name": segment.name,
            "project": f"{plan.domain}/{environment.name}",
            "shared": False,
            "external": False,
            "prefixes": [segment.prefix],
        }
        for segment in environment.segments
    ]


def _groups(plan: TenantPlan, environment: EnvironmentPlan) -> list[dict[str, Any]]:
    named = [("default", GUEST_RULES), *((segment.name, segment.rules) for segment in environment.segments)]
    return [
        {
            "name": name,
            "project": f"{plan.domain}/{environment.name}",
            "ingress": sorted(_text(rule) for rule in rules if rule.direction == "ingress"),
            "egress": sorted(_text(rule) for rule in rules if rule.direction == "egress"),
        }
        for name, rules in named
    ]


def _served(site: Site) -> list[str]:
    return [siren for siren in sorted(site.tenants) if unserved(site, siren) is None]


def _text(rule: Rule) -> str:
    return f"{rule.protocol} {rule.first_port}-{rule.last_port} {rule.prefix}"


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="stacks",
        kinds=frozenset({"live"}),
        facts=(FactKind("stack.state", of_stacks, "L’état de chaque pile : son scellement, ce qui y reste"),),
        read=read_states,
        permission="les états des piles sur la machine qui déploie, secrets scellés",
    ),
    Collector(
        name="plans",
        kinds=frozenset({"static"}),
        facts=(
            FactKind("keystone.projects", of_site, "Les projets que les piles feront"),
            FactKind("keystone.assignments", of_site, "Les rôles que les piles donneront aux groupes"),
            FactKind("neutron.networks", of_site, "Les réseaux que les piles feront"),
            FactKind("neutron.groups", of_site, "Les groupes de sécurité que les piles feront"),
        ),
        read=read_plans,
        permission="les plans des piles, calculés des fichiers du site",
    ),
)
