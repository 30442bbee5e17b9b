"""Rules on OpenBao that lists of records cannot say: duties apart, and one key for each tenant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from socle.audit.rules.conditions import at
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule
from socle.audit.rules.site import UNION


@rule("apart")
def apart(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Nobody of the list or mapping at ``at`` has both words of one of ``pairs`` in ``field``.

    A list without anybody proves nothing: not evaluated.
    """
    listed = at(value, expect["at"])
    entries = listed.items() if isinstance(listed, Mapping) else [(str(one["name"]), one) for one in listed]
    if not entries:
        raise Unreadable("personne à juger")
    for name, entry in entries:
        held = set(entry[expect["field"]])
        for one, other in expect["pairs"]:
            if one in held and other in held:
                yield Deviation(name, "deux personnes", f"{one} et {other}")


@rule("policies of people")
def policies_of_people(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each account has exactly the policies that the roles of people.yml give, and one identity.

    ``as`` is the fact that holds what is wanted, with ``people``: login → policies.
    """
    wanted = others.one(expect["as"])["people"]
    if not value["users"]:
        raise Unreadable("aucun compte de personne n’est ouvert")
    for login, user in value["users"].items():
        if login not in wanted:
            yield Deviation(login, "personne de people.yml", "compte sans personne")
        elif sorted(user["token_policies"]) != sorted(wanted[login]):
            yield Deviation(login, ", ".join(wanted[login]), ", ".join(user["token_policies"]))
    for name, entity in value["entities"].items():
        known = [alias["name"] for alias in entity["aliases"]]
        if known != [name] or entity["policies"]:
            yield Deviation(
                name,
                "une identité au seul nom de la personne, sans politique à elle",
                ", ".join([*known, *entity["policies"]]),
            )
    for group in value["groups"]:
        yield Deviation(group, "aucun groupe", "un groupe qui donne des droits")


@rule("one key for each tenant")
def one_key_for_each_tenant(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Keys of the mount ``mount`` are called ``<domain>.<id>``: one for each tenant with servers, none twice.

    Args:
        value: the list of keys.
        expect: ``mount``; ``as``: the fact that lists the tenants' domains; ``own``: the provider's domain,
            which has a key as soon as it stores something, too.
    """
    tenants = others.one(expect["as"])
    if not tenants:
        raise Unreadable("aucun client")
    names = [str(key["name"]) for key in value if key["mount"] == expect["mount"]]
    domains = [name.rpartition(".")[0] for name in names]
    for tenant in tenants:
        count = domains.count(tenant["domain"])
        if tenant["has_servers"] and not tenant["gone"] and count != 1:
            yield Deviation(tenant["domain"], "une clé", f"{count} clés")
        elif count > 1:
            yield Deviation(tenant["domain"], "une clé au plus", f"{count} clés")
    known = {tenant["domain"] for tenant in tenants}
    for domain in sorted(set(domains) - known - {expect.get("own")}):
        yield Deviation(domain, "un client du registre", "une clé sans client")


@rule("erased tenants have no key")
def erased_tenants_have_no_key(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """No tenant whose data are erased has a key left; it takes one such tenant to prove it."""
    gone = {tenant["domain"] for tenant in others.one(expect["as"]) if tenant["gone"]}
    if not gone:
        raise Unreadable("aucun client n’est parti : rien à vérifier")
    for key in value:
        domain = str(key["name"]).rpartition(".")[0]
        if key["mount"] == expect["mount"] and domain in gone:
            yield Deviation(domain, "plus de clé", str(key["name"]))


@rule("names")
def names(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """The keys of a mapping, or the names of a list of records, are those at ``as_at`` of ``as``."""
    found = set(value) if isinstance(value, Mapping) else {str(one["name"]) for one in value}
    wanted = set(at(others.one(expect["as"]), expect["as_at"]))
    yield from (Deviation(name, "absent", "présent") for name in sorted(found - wanted))
    yield from (Deviation(name, "présent", "absent") for name in sorted(wanted - found))


@rule("chain of authorities")
def chain_of_authorities(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """One root that signed itself in the mount ``root``; every authority of ``issuing`` was signed by it.

    By its name, which another may have, and by its key.
    """
    roots = [one for one in value if one["mount"] == expect["root"]]
    issuing = [one for one in value if one["mount"] == expect["issuing"]]
    if not roots or not issuing:
        raise Unreadable("la racine ou l’autorité des services manque")
    for one in roots[1:]:
        yield Deviation(one["subject"], "une seule racine", "une autre racine")
    subject = roots[0]["subject"]
    for one in (roots[0], *issuing):
        if one["issuer"] != subject:
            yield Deviation(one["subject"], subject, one["issuer"])
        elif one["signed_by_root"] is not True:
            yield Deviation(one["subject"], f"signée par la clé de {subject}", "par une autre clé")


@rule("copied away")
def copied_away(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """The copy comes over TLS only, to a place in the Union that holds no node of OpenBao."""
    if value["tls"] not in ("TLSv1.2", "TLSv1.3"):
        yield Deviation("tls", "TLS 1.2 ou 1.3", str(value["tls"]))
    if value["clear"] is not False:
        yield Deviation("clear", "aucune réponse hors de TLS", "une réponse en clair")
    here = value["place"]
    if not value["rooms"]:
        raise Unreadable("aucun lieu d’OpenBao")
    if here is None:
        yield Deviation("place", "un lieu de site.yml", f"{value['address']}, dans aucun préfixe")
        return
    if here["country"] not in UNION:
        yield Deviation("country", "un État de l’Union européenne", here["country"])
    if here["name"] in value["rooms"]:
        yield Deviation("place", "un autre lieu que celui d’OpenBao", here["name"])
