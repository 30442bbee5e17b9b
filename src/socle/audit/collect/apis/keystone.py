"""Identity: domains, projects, people's and services' accounts, roles, who has which, and end points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from socle.audit.collect.apis.reader import Reader

IDENTITY = "identity"


def learn(reader: Reader) -> None:
    """Names of all projects, by which every other reading calls them.

    Raises:
        NotRead: Keystone does not say.
    """
    domains = _domains(reader)
    for project in reader.every(IDENTITY, "/projects", "projects"):
        reader.projects[project["id"]] = f"{domains.get(project['domain_id'], '?')}/{project['name']}"


def read(reader: Reader) -> Iterator[tuple[str, Any]]:
    """Each fact of Keystone; names of people are those of their accounts."""
    domains = _domains(reader)
    yield "keystone.domains", sorted(domains.values())
    yield "keystone.projects", _projects(reader, domains)
    users = list(reader.every(IDENTITY, "/users", "users"))
    yield "keystone.users", _users(users, domains)
    yield "keystone.factors", _factors(users, domains)
    yield "keystone.roles", _roles(reader)
    yield "keystone.assignments", _assignments(reader)
    yield "keystone.rights", _rights(reader)
    yield "keystone.trusts", _trusts(reader)
    services = {s["id"]: s["type"] for s in reader.every(IDENTITY, "/services", "services")}
    yield "keystone.services", sorted(services.values())
    yield "keystone.endpoints", _endpoints(reader, services)


def _domains(reader: Reader) -> dict[str, str]:
    return {d["id"]: d["name"] for d in reader.every(IDENTITY, "/domains", "domains")}


def _projects(reader: Reader, domains: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for project in reader.every(IDENTITY, "/projects", "projects"):
        name = f"{domains.get(project['domain_id'], '?')}/{project['name']}"
        found[name] = {"enabled": project["enabled"], "tags": sorted(project.get("tags") or [])}
    return dict(sorted(found.items()))


def _users(users: list[Mapping[str, Any]], domains: Mapping[str, str]) -> list[dict[str, Any]]:
    found = [
        {"name": user["name"], "domain": domains.get(user["domain_id"], "?"), "enabled": user["enabled"]}
        for user in users
    ]
    return sorted(found, key=lambda user: (user["domain"], user["name"]))


def _factors(users: list[Mapping[str, Any]], domains: Mapping[str, str]) -> list[dict[str, Any]]:
    """How each account that is on opens: the factors it asks for, and the rules of passwords it escapes."""
    found = []
    for user in users:
        options = user.get("options") or {}
        if not user["enabled"]:
            continue
        found.append(
            {
                "name": user["name"],
                "domain": domains.get(user["domain_id"], "?"),
                "password_expires": user.get("password_expires_at"),
                "mfa": bool(options.get("multi_factor_auth_enabled")),
                "mfa_rules": sorted(sorted(rule) for rule in options.get("multi_factor_auth_rules") or []),
                "ignores": sorted(
                    name.removeprefix("ignore_")
                    for name, value in options.items()
                    if name.startswith("ignore_") and value
                ),
            }
        )
    return sorted(found, key=lambda user: (user["domain"], user["name"]))


def _roles(reader: Reader) -> dict[str, Any]:
    roles = {r["name"]: r.get("domain_id") for r in reader.every(IDENTITY, "/roles", "roles")}
    implied: dict[str, list[str]] = {}
    for inference in reader.every(IDENTITY, "/role_inferences", "role_inferences"):
        implied[inference["prior_role"]["name"]] = sorted(role["name"] for role in inference["implies"])
    return {
        name: {"own_domain": domain is not None, "implies": implied.get(name, [])}
        for name, domain in sorted(roles.items())
    }


def _assignments(reader: Reader) -> list[dict[str, Any]]:
    """Assignments as they were made: to users and groups, without what roles and groups imply."""
    found = [
        {"who": _who(one), "role": one["role"]["name"], "scope": _scope(one["scope"])}
        for one in reader.every(IDENTITY, "/role_assignments", "role_assignments", include_names="true")
    ]
    return sorted(found, key=lambda one: (one["scope"], one["who"], one["role"]))


def _rights(reader: Reader) -> dict[str, dict[str, list[str]]]:
    """What each user may do where, groups and implied roles counted: one call for the whole cloud."""
    found: dict[str, dict[str, set[str]]] = {}
    listed = reader.every(
        IDENTITY, "/role_assignments", "role_assignments", include_names="true", effective="true"
    )
    for one in listed:
        user = f"{one['user']['domain']['name']}/{one['user']['name']}"
        found.setdefault(user, {}).setdefault(_scope(one["scope"]), set()).add(one["role"]["name"])
    return {
        user: {scope: sorted(roles) for scope, roles in sorted(scopes.items())}
        for user, scopes in sorted(found.items())
    }


def _who(one: Mapping[str, Any]) -> str:
    kind = "user" if "user" in one else "group"
    return f"{kind} {one[kind]['domain']['name']}/{one[kind]['name']}"


def _scope(scope: Mapping[str, Any]) -> str:
    inherited = "+" if scope.get("OS-INHERIT:inherited_to") else ""
    if "project" in scope:
        return f"project {scope['project']['domain']['name']}/{scope['project']['name']}{inherited}"
    if "domain" in scope:
        return f"domain {scope['domain']['name']}{inherited}"
    return "system"


def _trusts(reader: Reader) -> dict[str, Any]:
    trusts = list(reader.every(IDENTITY, "/OS-TRUST/trusts", "trusts"))
    return {
        "count": len(trusts),
        "without_end": sum(not trust.get("expires_at") for trust in trusts),
        "that_delegate_again": sum(bool(trust.get("redelegation_count")) for trust in trusts),
    }


def _endpoints(reader: Reader, services: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for point in reader.every(IDENTITY, "/endpoints", "endpoints"):
        url = urlsplit(point["url"])
        found.append(
            {
                "service": services.get(point["service_id"], "?"),
                "interface": point["interface"],
                "scheme": url.scheme,
                "host": url.hostname,
                "port": url.port,
                "region": point.get("region_id"),
                "enabled": point["enabled"],
            }
        )
    return sorted(found, key=lambda one: (one["service"], one["interface"]))
