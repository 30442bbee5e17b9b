"""Rules of hosts: what stands there against what the site declares, or against the time of the facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from socle.audit.rules.conditions import ABSENT, at, shown
from socle.audit.rules.dates import AHEAD
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule

DECLARED = "host.declared"
SAFE_PASSWORDS = frozenset({"none", "locked"})


@rule("accounts")
def accounts(value: Mapping[str, Any], expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Accounts by which people come in are those that the site declares, with the groups of their roles.

    ``human_ids`` is the range of numbers of people's accounts, ``reserved`` the groups that give rights over
    the whole host: nobody else is in one. A name that stands twice is told: which line counts depends on who
    reads.
    """
    declared = _declared(others)
    first, last = expect["human_ids"]
    for name in value["twice"]:
        yield Deviation(name, "un nom, une ligne", "plusieurs lignes de ce nom")
    listed = _listed(value, "accounts")
    found = {one["name"]: one for one in reversed(listed)}
    for one in listed:
        name = one["name"]
        if first <= one["uid"] <= last and name not in declared["accounts"]:
            yield Deviation(name, "un compte déclaré", "compte que personne n’a déclaré")
        if one["uid"] == 0 and name != "root":
            yield Deviation(name, "root seul a le numéro 0", "un second compte de numéro 0")
        more = sorted(set(one["groups"]) & set(expect["reserved"]) - set(declared["groups"].get(name, ())))
        if more:
            yield Deviation(name, "aucun groupe réservé", shown(more))
    for name, groups in declared["groups"].items():
        if name not in found:
            yield Deviation(name, "un compte", "absent")
        elif name in declared["groups"] and sorted(found[name]["groups"]) != sorted(groups):
            yield Deviation(f"{name} groupes", shown(groups), shown(found[name]["groups"]))


@rule("sudo rights")
def sudo_rights(value: Mapping[str, Any], expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Nobody may run more by sudo than the site declares, and each role has exactly its commands.

    ``roles`` is how the groups of roles begin; of services a host may have fewer than what is declared.
    """
    declared = at(_declared(others), "sudo")
    rights = at(value, "rights")
    if not isinstance(rights, Mapping) or not rights:
        raise Unreadable("sudo n’a rendu aucun droit")
    for who, commands in rights.items():
        for command in sorted(set(commands) - set(declared.get(who, ()))):
            yield Deviation(who, "aucun autre droit que ceux déclarés", command)
    for who, commands in declared.items():
        missing = sorted(set(commands) - set(rights.get(who, ())))
        if who.startswith(expect["roles"]) and missing:
            yield Deviation(who, "les droits du rôle", f"absents : {shown(missing)}")


@rule("listeners")
def listeners(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Every socket that others can reach is one of the catalogue's, on the address that the site gives it."""
    declared = at(_declared(others), "listeners")
    if not isinstance(value, list) or not value:
        raise Unreadable("aucun port ouvert, pas même celui de SSH")
    for one in value:
        if not any(_covers(entry, one) for entry in declared):
            yield Deviation(
                f"{one['protocol']} {one['address']}:{one['port']}",
                "un port du catalogue sur son adresse",
                f"ouvert par {one['program'] or 'un programme inconnu'}",
            )


def _covers(entry: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    first, _dash, last = str(entry["ports"]).partition("-")
    return (
        entry["protocol"] == one["protocol"]
        and one["address"] in entry["addresses"]
        and int(first) <= one["port"] <= int(last or first)
    )


@rule("stations")
def stations(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Who may open a connection to a port of the host, by its firewall, is a station of the site.

    Lines of the flow matrix that do not name the port are what every host lets through.
    """
    declared = set(at(_declared(others), "deployers"))
    known = {str(line) for line in at(_declared(others), "firewall/accepts")}
    port = expect["port"]
    lines = [line for line in _lines(value, "accepts") if line.startswith("input ")]
    incoming = [
        line
        for line in lines
        if line.endswith(f" tcp {port}") or (line not in known and _may_reach(line, port))
    ]
    if not incoming:
        raise Unreadable(f"aucune règle d’entrée pour le port {port}")
    for line in incoming:
        _before, _from, rest = line.partition(" from ")
        sources = set(rest.split(" ")[0].split(",")) if rest else {"partout"}
        if "!=" in line:
            sources = {line}
        for source in sorted(sources - declared):
            yield Deviation(f"port {port}", shown(sorted(declared)), source)


_OTHER_PROTOCOL = re.compile(r" (?:udp|icmp|icmpv6) | protocol (?!6$)\d+$")
_TCP_PORTS = re.compile(r" tcp (\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)(?: |$)")


def _may_reach(line: str, port: int) -> bool:
    """Whether a line of a firewall may let packets to a port of TCP through: it names no other, only."""
    if "!=" in line:
        return True
    named = _TCP_PORTS.search(line)
    if not named:
        return not _OTHER_PROTOCOL.search(line)
    ranges = [one.partition("-") for one in named[1].split(",")]
    return any(int(first) <= port <= int(last or first) for first, _dash, last in ranges)


def _lines(value: Any, name: str) -> list[str]:
    found = at(value, name)
    if not isinstance(found, list):
        raise Unreadable(f"pas de liste à {name}")
    return [str(line) for line in found]


@rule("package sources")
def package_sources(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Packages come from the mirror that the site names, each source with its own key, none without one.

    Each suite that the site names is there: without its security updates, none of them ever waits.
    """
    wanted = {uri.rstrip("/"): suites for uri, suites in at(_declared(others), "mirror").items()}
    sources = _listed(value, "sources")
    for one in sources:
        if one["uri"].rstrip("/") not in wanted:
            yield Deviation(one["file"], shown(sorted(wanted)), one["uri"])
        if one["trusted"]:
            yield Deviation(one["file"], "une signature vérifiée", "une option la rend inutile")
        if not one["signed_by"]:
            yield Deviation(one["file"], "une clé nommée (Signed-By)", "toute clé connue de l’hôte")
    for uri, suites in wanted.items():
        named = [one for one in sources if one["uri"].rstrip("/") == uri and "deb" in one["types"].split()]
        for suite in sorted(set(suites) - {suite for one in named for suite in one["suites"].split()}):
            yield Deviation(suite, f"lue sur {uri}", "absente")
    for name in value["insecure"]:
        yield Deviation(name, "non", "oui")


@rule("passwords")
def passwords(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """No account opens without a password, and each hash has a scheme, salt and cost that count.

    ``schemes`` maps each scheme that is allowed to its lowest cost; ``salt_bits`` is the shortest salt.
    """
    for one in _listed(value, "accounts"):
        name = one["name"]
        if one["password"] == "empty":  # noqa: S105 - a state, not a password
            yield Deviation(name, "un mot de passe, ou aucun accès", "ouvert sans mot de passe")
        if "scheme" not in one:
            continue
        lowest = expect["schemes"].get(one["scheme"])
        if one["scheme"] not in expect["schemes"]:
            yield Deviation(name, shown(sorted(expect["schemes"])), one["scheme"])
        elif lowest is not None and (one.get("cost") or 0) < lowest:
            yield Deviation(f"{name} coût", f"au moins {lowest}", shown(one.get("cost")))
        if (one.get("salt_bits") or 0) < expect["salt_bits"]:
            found = shown(one.get("salt_bits"))
            yield Deviation(f"{name} sel", f"au moins {expect['salt_bits']} bits", found)


@rule("closed accounts")
def closed_accounts(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Nobody comes in as a technical account: no password matches, and SSH does not know it."""
    declared = set(at(_declared(others), "accounts"))
    let_in = set(others.facts["host.sshd"][others.subject]["allowusers"])
    for one in _listed(value, "accounts"):
        if one["name"] not in declared and one["password"] not in SAFE_PASSWORDS:
            yield Deviation(one["name"], "aucun mot de passe", "un mot de passe ouvre ce compte")
    for name in sorted(let_in - declared):
        yield Deviation(name, "refusé par SSH", "admis par SSH")


@rule("declared hardening")
def declared_hardening(value: Any, _expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """The host's report tells the rules of this release, and gives a reason for each that is not held."""
    declared = at(_declared(others), "hardening")
    for kind in ("held", "not_evaluated", "deviations"):
        if sorted(value[kind]) != sorted(declared[kind]):
            apart = sorted(set(value[kind]) ^ set(declared[kind]))
            yield Deviation(kind, "le rapport de cette version du kit", f"règles en écart : {shown(apart)}")
    for number in value["unexplained"]:
        yield Deviation(number, "une raison", "aucune raison donnée")


@rule("readable by")
def readable_by(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Files are closed to all but their owner and group; ``at_least`` of them must have been seen."""
    if not isinstance(value, list) or len(value) < expect["at_least"]:
        raise Unreadable(f"moins de {expect['at_least']} fichiers de secrets trouvés : la recherche a échoué")
    for one in value:
        mode = int(one["mode"], 8)
        if mode & 0o007:
            yield Deviation(one["path"], "aucun droit pour les autres", f"{one['mode']} {one['owner']}")
        elif mode & 0o020:
            yield Deviation(one["path"], "aucune écriture pour le groupe", f"{one['mode']} {one['group']}")


@rule("no older than")
def no_older_than(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each date of ``hours``, seconds since 1970 or ISO 8601, is at most so many hours before the facts."""
    for path, longest in expect["hours"].items():
        found = at(value, path)
        if found is ABSENT or found is None:
            raise Unreadable(f"pas de date à {path}")
        then = datetime.fromtimestamp(found, UTC) if isinstance(found, int | float) else _time(found)
        if then - others.moment > AHEAD:
            yield Deviation(path, "une date passée", f"{then:%Y-%m-%d %H:%M} UTC")
        hours = (others.moment - then).total_seconds() / 3600
        if hours > longest:
            yield Deviation(path, f"au plus {longest} h", f"{hours:.0f} h")


@rule("room for logs")
def room_for_logs(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """The journal may grow, and the disk has the room: at today's rate it holds ``days`` of entries.

    Too short a history (``history_days``) gives no rate: then only the room is judged.
    """
    allowed = _mebibytes(value["settings"].get("SystemMaxUse", ""))
    if value["free_mib"] + value["used_mib"] < allowed:
        yield Deviation("place", f"{allowed} Mio pour le journal", f"{value['free_mib']} Mio libres")
    if value["days"] >= expect["history_days"]:
        held = allowed / max(value["used_mib"] / value["days"], 0.01)
        if held < expect["days"]:
            yield Deviation(
                "durée tenue", f"au moins {expect['days']} jours", f"{held:.0f} jours au rythme actuel"
            )


def _mebibytes(text: str) -> int:
    units = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}
    if not text or text[-1] not in units or not text[:-1].isdigit():
        raise Unreadable(f"taille du journal non fixée ({text or 'absente'})")
    return int(int(text[:-1]) * units[text[-1]])


def _time(text: Any) -> datetime:
    found = datetime.fromisoformat(str(text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _listed(value: Any, name: str) -> list[dict[str, Any]]:
    found = at(value, name)
    if not isinstance(found, list) or not found:
        raise Unreadable(f"aucun élément à {name}")
    return found


def _declared(others: Others) -> Any:
    try:
        return others.facts[DECLARED][others.subject]
    except KeyError as error:
        raise Unreadable(f"{DECLARED} : aucune lecture de {others.subject}") from error
