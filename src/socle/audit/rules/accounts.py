"""Rules of accounts and rights in Keystone: whose they are, who may what, and that duties are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from socle.audit.rules.conditions import shown
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule
from socle.catalogue.accounts import DOMAIN, roles_of
from socle.credentials import SECOND
from socle.site.fields import folded

PROVIDER = "Default"
"""Keystone's domain of the accounts of services, in which the whole system's rights are counted."""
FACTORS = {"password", "totp"}
TENANT = "t-"
"""How the domain of every customer begins."""
GROUP_ROLES = {"managers": "manager", "members": "member", "readers": "reader", "auditors": "reader"}


@rule("nominative")
def nominative(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each account of the provider is one person's or a technical one that is declared; closed ones are."""
    accounts = others.one("site.accounts")
    people = others.one("site.people")["people"]
    known = {*people, *(person["email"] for person in people.values())}
    own = [user for user in value if not user["domain"].startswith(TENANT)]
    if not own:
        raise Unreadable("aucun compte du fournisseur n’a été lu")
    for user in own:
        account = accounts.get(_declared(f"{user['domain']}/{user['name']}", accounts))
        where = f"compte {user['domain']}/{user['name']}"
        if account is None and user["name"] not in known:
            yield Deviation(where, "une personne de people.yml, ou un compte prévu", "inconnu")
        if account and account["closed"] and user["enabled"]:
            yield Deviation(where, "fermé", "ouvert")


@rule("leavers-gone")
def leavers_gone(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """No account has the login or the address of somebody who left."""
    leavers = others.one("site.people")["leavers"]
    if not leavers:
        raise Unreadable("aucun départ n’est déclaré dans people.yml (leavers)")
    if not value:
        raise Unreadable("aucun compte n’a été lu")
    gone = {_plain(key): login for login, one in leavers.items() for key in (login, one["email"])}
    for user in value:
        if login := gone.get(_plain(user["name"])):
            yield Deviation(f"{user['domain']}/{user['name']}", "aucun compte", f"compte de {login}")


@rule("admins-declared")
def admins_declared(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Who is administrator somewhere is who is declared to be: in the service catalogue, or by a duty.

    A person with a duty need not be enrolled; a machine must be there.
    """
    accounts = others.one("site.accounts")
    people = {
        f"{DOMAIN}/{login}"
        for login, person in others.one("site.people")["people"].items()
        if "admin" in roles_of(person["roles"])
    }
    declared = {name for name, one in accounts.items() if "admin" in one["roles"]}
    found = {
        _declared(user, accounts)
        for user, scopes in value.items()
        if any("admin" in roles for roles in scopes.values())
    }
    if not found:
        raise Unreadable("aucun administrateur n’a été lu")
    needed = {name for name in declared if not accounts[name]["closed"]}
    yield from (
        Deviation(user, "non administrateur", "administrateur") for user in sorted(found - declared - people)
    )
    yield from (Deviation(user, "administrateur", "absent") for user in sorted(needed - found))


@rule("rights-agree")
def rights_agree(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """The rights by user say the same as the assignments: none is missing, each has an assignment behind it.

    Two readings of Keystone that it makes in different ways; roles imply others as ``keystone.roles`` says.
    """
    roles = others.one("keystone.roles")
    assigned: dict[tuple[str, str], set[str]] = {}
    for one in others.one("keystone.assignments"):
        kind, _blank, who = one["who"].partition(" ")
        key = (one["scope"], who if kind == "user" else f"group {who.partition('/')[0]}")
        assigned.setdefault(key, set()).update(_closure(one["role"], roles))
    if not value or not assigned:
        raise Unreadable("aucune attribution n’a été lue")
    for (scope, who), implied in sorted(assigned.items()):
        # Keystone leaves rights on the whole system out of a list that is not asked for it.
        if who.startswith("group ") or scope == "system":
            continue
        for role in sorted(implied - set(value.get(who, {}).get(scope, ()))):
            yield Deviation(f"{who}, {scope}", f"droit {role}", "absent de la liste")
    for who, scopes in sorted(value.items()):
        for scope, held in scopes.items():
            behind = assigned.get((scope, who), set()) | assigned.get(
                (scope, f"group {who.partition('/')[0]}"), set()
            )
            for role in sorted(set(held) - behind):
                yield Deviation(f"{who}, {scope}", "une attribution", f"droit {role} sans attribution")


@rule("domains-apart")
def domains_apart(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """An account has rights in its own domain only: the provider's none at a customer's, and conversely."""
    if not value:
        raise Unreadable("aucun droit n’a été lu")
    for user, scopes in value.items():
        own = user.partition("/")[0]
        for scope, roles in scopes.items():
            if _domain_of(scope) != own:
                yield Deviation(f"{user}, {scope}", f"des droits dans {own} seulement", shown(roles))


@rule("incompatible-rights")
def incompatible_rights(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Nobody was given, at one place, both roles of one of ``pairs``, nor a role of ``never`` by a group."""
    given: dict[tuple[str, str], set[str]] = {}
    for one in value:
        given.setdefault((one["who"], one["scope"]), set()).add(one["role"])
    if not given:
        raise Unreadable("aucune attribution n’a été lue")
    allowed = set(expect.get("except", ()))
    for (who, scope), roles in sorted(given.items()):
        name = who.partition("/")[2].removesuffix(SECOND)
        for one, other in expect["pairs"]:
            if {one, other} <= roles and name not in allowed:
                yield Deviation(f"{who}, {scope}", f"{one} ou {other}", f"{one} et {other}")
        if who.startswith("group ") and name in ("readers", "auditors"):
            for role in sorted(roles - {"reader"}):
                yield Deviation(f"{who}, {scope}", "reader seulement", role)


@rule("tenant-groups")
def tenant_groups(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """The groups of each tenant have their role, and no other, on its domain and on each of its projects."""
    wanted = {group: GROUP_ROLES[group] for group in expect["groups"]}
    held = {(one["who"], one["scope"], one["role"]) for one in value}
    scopes = sorted({one["scope"] for one in value if _domain_of(one["scope"]).startswith(TENANT)})
    if not scopes:
        raise Unreadable("aucun client dans Keystone")
    for scope in scopes:
        domain = _domain_of(scope)
        for group, role in wanted.items():
            who = f"group {domain}/{group}"
            if (who, scope, role) not in held:
                yield Deviation(f"{group}, {scope}", role, "absent")
    for who, scope, role in sorted(held):
        group = who.rpartition("/")[2]
        if who.startswith(f"group {TENANT}") and group in wanted and role != wanted[group]:
            yield Deviation(f"{who}, {scope}", wanted[group], role)


@rule("managers")
def managers(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each tenant has its declared managers, each with an account that is on and the right to manage it."""
    tenants = {siren: tenant for siren, tenant in others.one("site.tenants").items() if lives(tenant)}
    rights = others.one("keystone.rights")
    users = {f"{user['domain']}/{user['name']}": user for user in value}
    if not tenants:
        raise Unreadable("aucun client")
    for siren, tenant in tenants.items():
        for manager in tenant["managers"]:
            who, scope = f"{tenant['domain']}/{manager}", f"domain {tenant['domain']}"
            if who not in users or not users[who]["enabled"]:
                yield Deviation(f"{siren} {manager}", "un compte ouvert", "absent ou fermé")
            elif "manager" not in rights.get(who, {}).get(scope, ()):
                yield Deviation(f"{siren} {manager}", f"manager de {tenant['domain']}", "sans ce droit")


@rule("second-factor")
def second_factor(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Accounts of people ask for what they know and what they have; nothing less opens them."""
    accounts, technical = others.one("site.accounts"), expect.get("technical", ())
    people = [
        user
        for user in value
        if user["name"] not in technical
        and _declared(f"{user['domain']}/{user['name']}", accounts) not in accounts
    ]
    if not people:
        raise Unreadable("aucun compte de personne n’a été lu")
    for user in people:
        strong = user["mfa"] and user["mfa_rules"] and all(set(r) >= FACTORS for r in user["mfa_rules"])
        if not strong:
            yield Deviation(f"{user['domain']}/{user['name']}", "deux facteurs exigés", "un seul suffit")


def _plain(name: str) -> str:
    """A name as people read it: without regard to letters' case and width, nor to blanks around it."""
    return folded(name).strip()


def _declared(user: str, accounts: Mapping[str, Any]) -> str:
    """The name under which an account is declared, for one that has another's place as well."""
    return user.removesuffix(SECOND) if user.removesuffix(SECOND) in accounts else user


def _closure(role: str, roles: Mapping[str, Any]) -> set[str]:
    found, todo = set(), [role]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += (roles.get(one) or {}).get("implies", [])
    return found


def _domain_of(scope: str) -> str:
    """The domain in which a scope lies; the whole system is the provider's."""
    kind, _blank, name = scope.rstrip("+").partition(" ")
    return PROVIDER if kind == "system" else name.partition("/")[0]


def lives(tenant: Mapping[str, Any]) -> bool:
    """Whether the cloud serves a tenant now, so that it must have what is its."""
    return bool(tenant["served"])
