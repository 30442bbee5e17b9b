"""Rules of the cloud beside accounts: its offer, the site's map, isolation of projects, keys, backups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from socle.audit.rules.accounts import TENANT, lives
from socle.audit.rules.conditions import holds, shown, told
from socle.audit.rules.dates import AHEAD, moment_of
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule

EVERYWHERE = {4: 8, 6: 16}
"""Prefixes shorter than these count as everywhere: a provider's own are longer, RFC 1918's widest is a /8."""
MANY_PORTS = 1024
"""So many ports in one range are not named one by one."""
HOURS_OF = {"hourly": 1, "daily": 24, "weekly": 168}


@rule("offer")
def offer(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """A cloud that publishes services of ``kinds`` says so: what it does not offer, it does not run."""
    declared = set(others.one("site.identity")["services"])
    if not value:
        raise Unreadable("aucun service n’est publié")
    for kind, types in expect["kinds"].items():
        for service in sorted(set(types) & set(value)):
            if kind not in declared:
                yield Deviation(service, f"{kind} parmi les services de site.yml", "publié sans être déclaré")


@rule("interfaces-apart")
def interfaces_apart(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Public end points have the public name, the provider's the internal one, all over HTTPS."""
    identity = others.one("site.identity")
    names = dict.fromkeys(("internal", "admin"), identity["internal_name"])
    names["public"] = identity["public_name"]
    if not value:
        raise Unreadable("aucun point d’accès n’a été lu")
    if identity["public_name"] == identity["internal_name"]:
        yield Deviation("site.yml", "deux noms différents", identity["public_name"])
    for point in value:
        where = f"{point['service']} {point['interface']}"
        if point["host"] != names[point["interface"]]:
            yield Deviation(where, names[point["interface"]], shown(point["host"]))
        if point["scheme"] != "https":
            yield Deviation(f"{where} scheme", "https", shown(point["scheme"]))


@rule("published")
def published(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each service of ``services`` has an end point of ``interface`` that is on."""
    found = {p["service"] for p in value if p["interface"] == expect["interface"] and p["enabled"]}
    if not value:
        raise Unreadable("aucun point d’accès n’a été lu")
    for service in expect["services"]:
        if service not in found:
            yield Deviation(service, f"un point d’accès {expect['interface']}", "absent")


@rule("projects-of-tenants")
def projects_of_tenants(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each project of a customer is an environment of a tenant with an agreement."""
    tenants = {tenant["domain"]: (siren, tenant) for siren, tenant in others.one("site.tenants").items()}
    own = {name: project for name, project in value.items() if name.startswith(TENANT)}
    if not own:
        raise Unreadable("aucun projet de client")
    for name in own:
        domain, _slash, environment = name.partition("/")
        siren, tenant = tenants.get(domain, ("", None))
        if tenant is None or environment not in tenant["environments"]:
            yield Deviation(name, "un client et un environnement déclarés", "inconnu")
        elif not tenant["agreement"]:
            yield Deviation(f"{name} ({siren})", "une convention", "absent")


@rule("projects-marked")
def projects_marked(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each project of a tenant carries the mark of its data, and no lower one."""
    tenants = {tenant["domain"]: tenant for tenant in others.one("site.tenants").values()}
    own = {name: p for name, p in value.items() if name.partition("/")[0] in tenants}
    if not own:
        raise Unreadable("aucun projet de client")
    for name, project in own.items():
        tenant = tenants[name.partition("/")[0]]
        wanted = {f"data-{tenant['classification']}"} | ({"data-health"} if tenant["health_data"] else set())
        found = {tag for tag in project["tags"] if tag.startswith("data-")}
        if found != wanted:
            yield Deviation(name, shown(sorted(wanted)), shown(sorted(found)))


@rule("projects-apart")
def projects_apart(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each environment of each tenant is a project of its own."""
    tenants = {siren: t for siren, t in others.one("site.tenants").items() if lives(t)}
    if not tenants:
        raise Unreadable("aucun client")
    for siren, tenant in tenants.items():
        for environment in tenant["environments"]:
            if f"{tenant['domain']}/{environment}" not in value:
                yield Deviation(f"{siren} {environment}", "un projet à lui", "absent")


@rule("networks-as-declared")
def networks_as_declared(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """The networks of tenants' projects are those that the site's files give them, with their prefixes."""
    tenants = {t["domain"]: t for t in others.one("site.tenants").values() if lives(t)}
    wanted = {f"{domain}/{network}" for domain, tenant in tenants.items() for network in tenant["networks"]}
    found = {
        f"{one['project']}/{one['name']} {' '.join(one['prefixes'])}"
        for one in value
        if one["project"].startswith(TENANT)
    }
    if not wanted:
        raise Unreadable("aucun réseau de client n’est déclaré")
    yield from (Deviation(name, "absent", "présent") for name in sorted(found - wanted))
    yield from (Deviation(name, "présent", "absent") for name in sorted(wanted - found))


@rule("hosts-as-declared")
def hosts_as_declared(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """The hosts that an API names are hosts of the site; with ``group``, exactly the hosts of that group.

    ``names`` is where a host's name stands in each record; what follows a ``.`` or an ``@`` is left out.
    """
    hosts = others.one("site.hosts")
    listed = value.values() if isinstance(value, Mapping) else value
    named = {_host(one, expect.get("names")) for one in listed} - set(expect.get("besides", ()))
    if not named:
        raise Unreadable("aucune machine n’est nommée")
    group = expect.get("group")
    wanted = {name for name, host in hosts.items() if group in (None, *host["groups"])}
    yield from (Deviation(name, "une machine déclarée", "inconnue") for name in sorted(named - wanted))
    if group:
        yield from (Deviation(name, "présente", "absente") for name in sorted(wanted - named))


@rule("zones-are-places")
def zones_are_places(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """The zone in which a service places data is a place that the site describes, and its host's room."""
    places, hosts = others.one("site.places"), others.one("site.hosts")
    picked = [one for one in value if one["binary"] == expect["binary"]]
    if not picked:
        raise Unreadable(f"aucun service {expect['binary']}")
    for one in picked:
        room = (hosts.get(one["host"]) or {}).get("room")
        if one["zone"] not in places or one["zone"] != room:
            yield Deviation(f"{one['binary']} {one['host']}", shown(room), one["zone"])


@rule("default-deny")
def default_deny(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """The default group of a tenant's project lets nothing in, and no group lets everything in from all."""
    own = [group for group in value if group["project"].startswith(TENANT)]
    if not own:
        raise Unreadable("aucun groupe de sécurité de client")
    for group in own:
        where = f"{group['project']} {group['name']}"
        if group["name"] == "default":
            yield from (Deviation(where, "rien n’entre", text) for text in group["ingress"])
            yield from (
                Deviation(where, shown(expect["egress"]), text)
                for text in group["egress"]
                if text not in expect["egress"]
            )
        yield from (Deviation(where, "des ports nommés", text) for text in group["ingress"] if _open(text))


def _open(rule: str) -> bool:
    """Whether a rule lets in more ports than anybody names, from so much of the world as is all of it."""
    protocol, ports, other = rule.split(" ")
    low, _dash, high = ports.partition("-")
    many = "any" in (protocol, ports) or int(high) - int(low) >= MANY_PORTS
    if other == "same-group":
        return False
    prefix = None if other == "any" else ip_network(other, strict=False)
    return many and (prefix is None or prefix.prefixlen < EVERYWHERE[prefix.version])


@rule("own-keys")
def own_keys(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """No two volumes have the same key."""
    counted = Counter(volume["key"] for volume in value if volume["key"])
    if not counted:
        raise Unreadable("aucun volume n’a de clé")
    for volume in value:
        if volume["key"] and counted[volume["key"]] > 1:
            yield Deviation(f"{volume['project']} {volume['id'][:8]}", "une clé à lui seul", "clé partagée")


@rule("ports-of-own-network")
def ports_of_own_network(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """A port, a router's too, is on a network of its own project: no router joins two projects."""
    if not value:
        raise Unreadable("aucun port")
    for port in value:
        if port["project"] != port["of_network"]:
            yield Deviation(f"port {port['id'][:8]}", f"un réseau de {port['project']}", port["of_network"])


@rule("images-recent")
def images_recent(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each image that everybody sees was made at most ``days`` days ago, and is as ``each`` asks."""
    picked = [one for one in value if one["visibility"] == "public" and not one["hidden"]]
    if not picked:
        raise Unreadable("aucune image publique")
    for image in picked:
        age = others.moment - moment_of(image["created"])
        if -age > AHEAD:
            yield Deviation(image["name"], "une date passée", image["created"])
        if age > timedelta(days=expect["days"]):
            yield Deviation(image["name"], f"au plus {expect['days']} jours", f"{age.days} jours")
        for path, condition in expect.get("each", {}).items():
            if not holds(image.get(path), condition):
                yield Deviation(f"{image['name']} {path}", told(condition), shown(image.get(path)))


@rule("service-runs")
def service_runs(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """There is at least one of a service, and each is on and up."""
    if not isinstance(value, list):
        raise Unreadable("pas de liste de services")
    if not value:
        yield Deviation("", "au moins un service", "aucun")
    for one in value:
        if (one["status"], one["state"]) != ("enabled", "up"):
            yield Deviation(
                f"{one['binary']} {one['host']}", "enabled, up", f"{one['status']}, {one['state']}"
            )


@rule("backed-up")
def backed_up(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each volume of a tenant who was promised backups has one that is no older than two periods."""
    tenants = {t["domain"]: t for t in others.one("site.tenants").values() if t["backup"] and lives(t)}
    volumes = [v for v in others.one("cinder.volumes") if v["project"].partition("/")[0] in tenants]
    if not volumes:
        raise Unreadable("aucun volume d’un client à sauvegarder")
    newest: dict[str, str] = {}
    for one in value:
        if one["status"] == "available":
            newest[one["volume"]] = max(newest.get(one["volume"], ""), one["created"])
    for volume in volumes:
        hours = 2 * HOURS_OF[tenants[volume["project"].partition("/")[0]]["backup"]["frequency"]]
        made = newest.get(volume["id"])
        if made is None or others.moment - moment_of(made) > timedelta(hours=hours):
            where = f"{volume['project']} {volume['id'][:8]}"
            yield Deviation(where, f"une sauvegarde depuis {hours} h", shown(made))


@rule("nothing-left")
def nothing_left(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each domain of a customer is that of a tenant who has not been erased."""
    registry = others.one("site.registry")
    living = {one["domain"] for one in registry.values() if one["state"] not in ("erased", "certified")}
    own = [domain for domain in value if domain.startswith(TENANT)]
    if not own:
        raise Unreadable("aucun domaine de client")
    gone = {one["domain"]: siren for siren, one in registry.items() if one["domain"] not in living}
    for domain in own:
        if domain not in living:
            yield Deviation(domain, "aucun domaine", f"reste de {gone.get(domain, 'on ne sait qui')}")


@rule("no-orphans")
def no_orphans(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """No thing belongs to a project that does not exist any more."""
    read = {"": value, **{name: others.one(name) for name in expect["also"]}}
    if not any(read.values()):
        raise Unreadable("aucune ressource n’a été lue")
    for name, listed in read.items():
        for one in listed:
            if one["project"].startswith("?"):
                label = one.get("name") or one["id"][:8]
                yield Deviation(f"{name or 'ressource'} {label}", "un projet qui existe", one["project"])


def _host(one: Any, key: str | None) -> str:
    name: str = one[key] if key else one
    return name.partition("@")[0].partition(".")[0]
