"""Hosts, one SSH session each: accounts, packages, SSH server, hardening, firewall, clock, logs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from socle.audit.collect import declared_hosts
from socle.audit.collect.collector import Collector, FactKind, of_component, of_hosts
from socle.audit.collect.firewall_rules import loaded
from socle.audit.collect.log_store import stores
from socle.audit.collect.session import ASKED, PERMISSION, HostAnswer, UnknownShape, read_hosts
from socle.audit.model import Fact
from socle.hardening import Check, applied, checks
from socle.hardening.problems import FRENCH
from socle.site import Host, Site

LACKS: Final = {
    "kernel": "l’hôte partage le noyau, les disques et la console de la machine qui le porte",
    "auditd": "l’audit du noyau appartient à la machine qui porte l’hôte",
    "apparmor": "l’hôte n’a pas d’AppArmor à lui",
}
"""Why rules that need a capability are not evaluated on a host that lacks it."""

SSHD: Final = frozenset({
    "acceptenv", "allowagentforwarding", "allowstreamlocalforwarding", "allowtcpforwarding", "allowusers",
    "authenticationmethods", "authorizedkeyscommand", "authorizedkeysfile", "banner", "casignaturealgorithms",
    "ciphers", "clientalivecountmax", "clientaliveinterval", "compression", "gatewayports",
    "gssapiauthentication", "hostbasedauthentication", "hostcertificate", "hostkey", "hostkeyalgorithms",
    "hostkeys", "ignorerhosts", "kbdinteractiveauthentication", "kerberosauthentication", "kexalgorithms",
    "listenaddress", "logingracetime", "loglevel", "macs", "maxauthtries", "passwordauthentication",
    "permitemptypasswords", "permitrootlogin", "permittunnel", "permituserenvironment", "printlastlog",
    "pubkeyacceptedalgorithms", "pubkeyauthentication", "strictmodes", "syslogfacility", "trustedusercakeys",
    "usepam", "x11forwarding",
})  # fmt: skip
"""What ANSSI's guide on OpenSSH and the rules of the kit speak of."""
SIMPLE: Final = {
    "host.system": "system",
    "host.integrity": "integrity",
    "host.updates": "updates",
    "host.apt": "apt",
    "host.malware": "malware",
    "host.accounts": "accounts",
    "host.sudo": "sudo",
    "host.pam": "pam",
    "host.secrets": "secret_files",
    "host.listeners": "listeners",
    "host.journal": "journal",
    "host.upload": "upload",
    "host.hardening.report": "hardening_report",
}
"""Facts that are a section as it was answered."""


def _checks(site: Site, host: Host) -> list[Check]:
    return checks(applied(declared_hosts.traits(site, host)))


ASKED["hardening"] = lambda site, host: [check.command for check in _checks(site, host)]
ASKED["units"] = lambda _site, host: declared_hosts.units(host)


def _read(site: Site) -> Iterator[Fact]:
    answers = read_hosts(site)
    for name, answer in answers.items():
        yield from of_host(site, site.hosts[name], answer)
    yield from stores(site, answers)


def of_host(site: Site, host: Host, answer: HostAnswer) -> Iterator[Fact]:
    """The facts of one host out of what it answered."""
    for fact, section in SIMPLE.items():
        yield answer.fact(fact, host.name, section)
    wanted = declared_hosts.clocks(site)
    yield answer.fact("host.clock", host.name, "clock", lambda said: _clock(said, wanted))
    first_key = f"/home/{site.settings.deploy_user}/.ssh/authorized_keys"
    yield answer.fact("host.keys", host.name, "keys", lambda said: _keys(said, first_key))
    yield answer.fact("host.units", host.name, "units", lambda said: _units(said, host))
    if host.capabilities.kernel:
        yield answer.fact("host.quality", host.name, "pam", _quality)
    else:
        yield Fact(name="host.quality", subject=host.name, problem=LACKS["kernel"])
    yield answer.fact("host.sshd", host.name, "sshd", _sshd)
    yield answer.fact("host.packages", host.name, "packages", _packages)
    yield answer.fact("host.firewall", host.name, "firewall", loaded)
    disks = answer.fact("host.disks", host.name, "disks")
    yield (
        disks
        if host.capabilities.kernel
        else disks.model_copy(update={"value": None, "problem": LACKS["kernel"]})
    )
    yield from _hardening(site, host, answer)


def _clock(said: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    sources = [{**one, "declared": one["address"] in wanted} for one in said["sources"]]
    return {**said, "sources": sources}


def _keys(said: Iterable[Mapping[str, Any]], first_key: str) -> dict[str, Any]:
    """``opens``: a file of keys that let somebody in; ``first_key``: the deploying account's, by which a host
    is met the first time, and which opens nothing once the authority is in force.
    """
    return {
        "files": [
            {**one, "opens": "/id_" not in one["path"], "first_key": one["path"] == first_key} for one in said
        ]
    }


def _units(said: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """Without what the host cannot run: the clock of a container is its machine's."""
    unable = set() if host.capabilities.time else {"chrony"}
    wanted = {name: state for name, state in said["wanted"].items() if name not in unable}
    return {"failed": said["failed"], "wanted": wanted}


def _quality(said: Mapping[str, Any]) -> dict[str, str]:
    if said["quality"] is None:
        raise UnknownShape("pwquality n’est pas installé")
    found: dict[str, str] = said["quality"]
    return found


def _sshd(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in sorted(SSHD & said.keys())} | {
        "allowusers": sorted(said["allowusers"].split()),
        "matches": said["matches"],
    }


def _packages(said: Mapping[str, Any]) -> dict[str, Any]:
    """Versions as one digest: the whole list is the bill of materials, which ``socle sbom`` writes."""
    listed = "".join(f"{name} {version}\n" for name, version in sorted(said["versions"].items()))
    kept = {name: said[name] for name in ("count", "held", "broken", "foreign")}
    asked_for = sorted(set(said["manual"]) - set(said["essential"]))
    return {**kept, "asked_for": asked_for, "sha256": hashlib.sha256(listed.encode()).hexdigest()}


def _hardening(site: Site, host: Host, answer: HostAnswer) -> Iterator[Fact]:
    """One fact for what every host can show, and one for each capability that some hosts lack."""
    wanted = _checks(site, host)

    def shape(need: str | None) -> Any:
        def judged(said: list[dict[str, str]]) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for check, text in zip(wanted, said, strict=True):
                if _need(check.rule.needs) == need:
                    number = 1 + sum(one["theme"] == check.rule.theme for one in found.values())
                    found[f"{check.rule.theme} {number}"] = judged_rule(check, text)
            return found

        return judged

    yield answer.fact("host.hardening", host.name, "hardening", shape(None))
    for need, why in LACKS.items():
        fact = f"host.hardening.{need}"
        if host.capabilities.model_dump()[need]:
            yield answer.fact(fact, host.name, "hardening", shape(need))
        else:
            yield Fact(name=fact, subject=host.name, problem=why)


def _need(need: str | None) -> str | None:
    return "kernel" if need in {"console", "disk"} else need


def judged_rule(check: Check, said: Mapping[str, str]) -> dict[str, Any]:
    """A rule and what is wrong with it, by the kit's own check; on the deploying machine too."""
    rule = check.rule
    wrong = [said["problem"]] if "problem" in said else check.judge(said["text"], FRENCH)
    return {
        "file": rule.file or rule.kind,
        "theme": rule.theme,
        "rules": list(rule.rules),
        "wrong": wrong,
    }


def _kinds() -> tuple[FactKind, ...]:
    what = {
        "host.system": "Version de Debian et noyau de l’hôte",
        "host.clock": "Sources de temps de chrony et écart de l’horloge",
        "host.integrity": "Programmes du socle de l’hôte comparés à leurs paquets (dpkg --verify)",
        "host.updates": "Mises à jour de sécurité en attente",
        "host.malware": "Recherche de codes malveillants et âge de ses signatures",
        "host.apt": "Dépôts de paquets et leurs clés",
        "host.units": "Services en échec, services du catalogue et minuteurs",
        "host.accounts": "Comptes ouverts ou à mot de passe, schéma de hachage (jamais le haché)",
        "host.keys": "Fichiers de clés qui ouvriraient une session",
        "host.sudo": "Droits de sudo tels que sudo les lit",
        "host.pam": "Verrouillage, hachage et qualité des mots de passe",
        "host.secrets": "Droits des fichiers qui portent un secret",
        "host.listeners": "Ports ouverts hors boucle locale",
        "host.journal": "Réglages, taille et âge du journal",
        "host.upload": "Envoi du journal vers le collecteur",
        "host.hardening.report": "Rapport de durcissement de l’hôte",
        "host.quality": "Qualité exigée des mots de passe de la console",
        "host.sshd": "Réglages du serveur SSH (sshd -T), et ceux de ses blocs Match",
        "host.packages": "Paquets demandés par leur nom, et empreinte de toute la liste",
        "host.firewall": "Règles de nftables dans le noyau",
        "host.disks": "Systèmes de fichiers et place libre",
        "host.hardening": "Règles BP-028 lisibles sur tout hôte",
        "host.hardening.kernel": "Règles BP-028 du noyau, des montages et de la console",
        "host.hardening.auditd": "Règles BP-028 de l’audit du noyau",
        "host.hardening.apparmor": "Règles BP-028 d’AppArmor",
    }
    return (
        *(FactKind(name, of_hosts, text) for name, text in what.items()),
        FactKind(
            "logs.store", of_component("logs_store"), "Collecteur de journaux : sceaux, droits, rétention"
        ),
    )


COLLECTORS: tuple[Collector, ...] = (
    Collector(name="hosts", kinds=frozenset({"live"}), facts=_kinds(), read=_read, permission=PERMISSION),
    *declared_hosts.COLLECTORS,
)
