"""Rules of what a site declares: equipment and hosts, places, agreements, drills against agreements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from socle.audit.rules.conditions import at, shown
from socle.audit.rules.dates import HOUR, moment_of
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule

MINUTES_OF_MONTH = 30 * 24 * 60
SEVERITIES = ("minor", "major", "critical")
UNION = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"}
    | {"IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)
"""Members of the European Union (ISO 3166-1)."""


@rule("equipment-described")
def equipment_described(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each equipment that is no software has the fields of ``fields``, and an identifier for each piece."""
    machines = {name: item for name, item in value.items() if item["kind"] != "software"}
    if not machines:
        raise Unreadable("aucun équipement au registre")
    for name, item in machines.items():
        for field in expect["fields"]:
            if not item.get(field):
                yield Deviation(f"{name} {field}", "renseigné", "absent")
        if len(set(item["identifiers"])) != item["count"]:
            found = str(len(set(item["identifiers"])))
            yield Deviation(f"{name} identifiers", f"{item['count']} identifiant(s) distinct(s)", found)


@rule("equipment-holds-hosts")
def equipment_holds_hosts(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each host is on an equipment of the register, and in a room that the site describes."""
    equipment, places = others.one("site.equipment"), others.one("site.places")
    if not value:
        raise Unreadable("aucune machine")
    for name, host in value.items():
        if host["equipment"] not in equipment:
            yield Deviation(name, "un équipement du registre", shown(host["equipment"]))
        if host["room"] not in places:
            yield Deviation(f"{name} room", "un lieu de site.yml", shown(host["room"]))


@rule("rooms-have")
def rooms_have(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each room that holds hosts holds at least ``count`` pieces of equipment of a ``kind`` as well."""
    rooms = {host["room"] for host in value.values() if host["room"]}
    items = others.one("site.equipment").values()
    if not any(item["kind"] == expect["kind"] for item in items):
        raise Unreadable(f"aucun équipement de la sorte {expect['kind']} n’est au registre")
    if not rooms:
        raise Unreadable("aucune machine n’a de salle")
    for room in sorted(rooms):
        found = sum(i["count"] for i in items if i["kind"] == expect["kind"] and i.get("room") == room)
        if found < expect["count"]:
            yield Deviation(room, f"au moins {expect['count']} ({expect['kind']})", str(found))


@rule("quorum")
def quorum(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each of ``groups`` has at least ``hosts`` hosts, not all of them in one rack of one room.

    Hosts that are all one equipment, as nodes of a lab on one machine, tell nothing of redundancy.
    """
    if len({host["equipment"] for host in value.values()}) <= 1:
        raise Unreadable("toutes les machines sont un seul équipement : la redondance ne s’y juge pas")
    for group in expect["groups"]:
        members = [host for host in value.values() if group in host["groups"]]
        if len(members) < expect["hosts"]:
            yield Deviation(group, f"au moins {expect['hosts']} machines", str(len(members)))
        elif len({(host["room"], host["rack"]) for host in members}) < 2:  # noqa: PLR2004 - one is none
            yield Deviation(group, "au moins deux baies", shown(members[0]["rack"]))


@rule("addresses-in-union")
def addresses_in_union(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each address of the kinds ``kinds`` is in a prefix of a place of the European Union."""
    prefixes = [
        ip_network(prefix)
        for place in others.one("site.places").values()
        if place["country"] in UNION
        for prefix in place["prefixes"]
    ]
    picked = [one for one in value if one["kind"] in expect["kinds"]]
    if not picked:
        raise Unreadable(f"aucune adresse de la sorte {', '.join(expect['kinds'])}")
    for one in picked:
        network = ip_network(one["address"])
        if not any(p.version == network.version and network.subnet_of(p) for p in prefixes):  # type: ignore[arg-type]
            yield Deviation(one["what"], "dans un préfixe d’un lieu de l’Union", one["address"])


@rule("places-in-union")
def places_in_union(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each place of the service is in the European Union, and has an address that people can visit."""
    if not value:
        raise Unreadable("aucun lieu n’est décrit dans site.yml")
    for name, place in value.items():
        if place["country"] not in UNION:
            yield Deviation(f"{name} country", "un État de l’Union européenne", place["country"])
        if not place["address"].strip():
            yield Deviation(f"{name} address", "une adresse", "absent")


@rule("agreements")
def agreements(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each tenant that is no former one has an agreement, signed by then, with the fields of ``fields``."""
    if not value:
        raise Unreadable("aucun client")
    day = others.moment.date().isoformat()
    for siren, tenant in value.items():
        agreement = tenant["agreement"]
        if agreement is None:
            yield Deviation(siren, "une convention", "absent")
            continue
        if agreement["signed"] > day:
            yield Deviation(f"{siren} signed", "une date passée", agreement["signed"])
        for field in expect.get("fields", ()):
            if agreement.get(field) is None:
                yield Deviation(f"{siren} {field}", "renseigné", "absent")


@rule("agreed-availability")
def agreed_availability(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """No agreement promises more than the availability that the site aims at."""
    aim = others.one("site.identity")["availability_percent"]
    if aim is None:
        raise Unreadable("site.yml ne dit pas quelle disponibilité est visée (availability_percent)")
    for siren, tenant in _agreed(value).items():
        promised = tenant["agreement"].get("availability_percent")
        if promised is None or promised > aim:
            yield Deviation(siren, f"au plus {aim} %", "absent" if promised is None else f"{promised} %")


@rule("agreed-backup")
def agreed_backup(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """An agreement says that data is saved when the tenant's file asks for it, and only then."""
    for siren, tenant in _agreed(value).items():
        said, asked = tenant["agreement"].get("backup"), tenant["backup"] is not None
        if said is not asked:
            yield Deviation(siren, f"backup : {shown(asked)}", shown(said))


@rule("agreed-support")
def agreed_support(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Support reached no tenant whose agreement does not allow it."""
    tenants = others.one("site.tenants")
    if not value:
        raise Unreadable("le registre du support est vide")
    for name, one in value.items():
        agreement = (tenants.get(one["tenant"]) or {}).get("agreement") or {}
        if agreement.get("remote_support") is not True:
            yield Deviation(name, f"une convention de {one['tenant']} qui le permet", "absent")


@rule("supplier-autonomy")
def supplier_autonomy(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each supplier that reaches data is qualified itself, or deposited the sources of what it provides."""
    if not value:
        raise Unreadable("aucun fournisseur")
    for name, supplier in value.items():
        if supplier["accesses_data"] and not supplier.get("qualified") and not supplier.get("escrow"):
            yield Deviation(name, "qualified ou escrow", "ni l’un ni l’autre")


@rule("incidents-told")
def incidents_told(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Of each incident, those tenants were told who want to know of its severity; none named means all."""
    tenants = _agreed(others.one("site.tenants"))
    if not value:
        raise Unreadable("le registre des incidents est vide")
    for name, incident in value.items():
        level = SEVERITIES.index(incident["severity"])
        concerned = [siren for siren in incident["tenants"] or tenants if siren in tenants]
        wanting = [
            siren
            for siren in concerned
            if SEVERITIES.index(tenants[siren]["agreement"].get("incident_severity", "minor")) <= level
        ]
        if wanting and not incident.get("notified"):
            yield Deviation(name, f"{len(wanting)} client(s) avertis", "aucun avis")


@rule("recovered-in-time")
def recovered_in_time(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each drill of ``kinds`` measured a recovery within what the agreements leave of a month."""
    tenants = _agreed(others.one("site.tenants"))
    promised = [t["agreement"]["availability_percent"] for t in tenants.values()]
    allowed = round((100 - max(promised)) / 100 * MINUTES_OF_MONTH)
    drills = {name: one for name, one in value.items() if one["kind"] in expect["kinds"]}
    if not drills:
        raise Unreadable(f"aucun exercice de la sorte {', '.join(expect['kinds'])}")
    for name, drill in drills.items():
        found = drill.get("recovery_minutes")
        if found is None or found > allowed:
            yield Deviation(name, f"au plus {allowed} minutes", shown(found))


@rule("erased-after-notice")
def erased_after_notice(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each tenant that was erased had been told ``days`` days before."""
    erased = [siren for siren, entry in value.items() if entry["state"] in ("erased", "certified")]
    if not erased:
        raise Unreadable("aucun client n’a été effacé")
    notices = [one for one in others.one("records.notices").values() if one["kind"] == "end"]
    hours = expect["days"] * 24
    for siren in erased:
        told = [one for one in notices if siren in one["tenants"] and _days(one) >= hours]
        if not told:
            yield Deviation(siren, f"un avis de fin, {expect['days']} jours avant", "aucun")


@rule("duties-apart")
def duties_apart(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Nobody has both roles of one of the ``pairs``."""
    people = at(value, "people")
    if not isinstance(people, Mapping) or not people:
        raise Unreadable("aucune personne")
    for login, person in people.items():
        for one, other in expect["pairs"]:
            if {one, other} <= set(person["roles"]):
                yield Deviation(login, f"{one} ou {other}", f"{one} et {other}")


@rule("nothing-shared")
def nothing_shared(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Other sites have no address, equipment or name in common with this one."""
    if not value:
        raise Unreadable("aucun autre site")
    for site, common in value.items():
        for kind in ("addresses", "equipment", "names"):
            yield from (Deviation(f"{site} {kind}", "rien de commun", item) for item in common[kind])


@rule("public-flows")
def public_flows(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """What anybody may call is the public end point, in ``zone``, over TLS; nothing else is open to all."""
    public = {
        f"{one['address']}/32" for one in others.one("site.addresses") if one["what"] == "public end point"
    }
    if not value or not public:
        raise Unreadable("pas de matrice des flux, ou pas de point d’accès public")
    for flow in value:
        if not any(ip_network(source).prefixlen == 0 for source in flow["sources"]):
            continue
        if flow["zone"] != expect["zone"] or not set(flow["destinations"]) <= public:
            found = f"zone {flow['zone']}, vers {shown(flow['destinations'])}"
            yield Deviation(flow["name"], f"zone {expect['zone']}, vers {shown(sorted(public))}", found)
        if flow["tls"] not in ("server", "mutual"):
            yield Deviation(f"{flow['name']} tls", "TLS", flow["tls"])


def _agreed(tenants: Mapping[str, Any]) -> dict[str, Any]:
    """Tenants with an agreement; who has none is found by the control of agreements.

    Raises:
        Unreadable: nobody has one.
    """
    found = {siren: tenant for siren, tenant in tenants.items() if tenant["agreement"]}
    if not found:
        raise Unreadable("aucun client n’a de convention")
    return found


def _days(notice: Mapping[str, Any]) -> float:
    return (moment_of(notice["starts"]) - moment_of(notice["sent"])) / HOUR
