"""OpenBao: seal, authorities, keys, policies, logins, audit devices, as its read-only auditor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import requests
from cryptography import x509
from hvac.exceptions import Forbidden, VaultError

from socle import catalogue, durable, vault
from socle.audit.collect import openbao_copies, openbao_keys, openbao_logins, openbao_settings, openbao_wanted
from socle.audit.collect.collector import Collector, FactKind, of_component, of_site
from socle.audit.collect.openbao_session import Reader, Session
from socle.audit.collect.unread import why
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.site import Site
from socle.vault.api import client
from socle.vault.place import Place
from socle.vault.snapshots import TAKEN

PERMISSION = "AppRole « auditor » : noms, réglages, âges et clés publiques ; aucun secret, aucune écriture"
SEAL = "openbao.seal"
SNAPSHOT = "openbao.snapshot"
CONTENT = "openbao.snapshot_content"

KINDS: Final[dict[str, tuple[Reader, str]]] = {
    "openbao.audit_devices": (
        openbao_settings.audit_devices,
        "Dispositifs d’audit en service et leurs options",
    ),
    "openbao.listeners": (
        openbao_settings.listeners,
        "Réglages des écoutes et du serveur, sans valeur sensible",
    ),
    "openbao.mounts": (openbao_settings.mounts, "Moteurs de secrets montés"),
    "openbao.raft": (openbao_settings.raft, "Membres de la grappe"),
    "openbao.barrier": (openbao_settings.barrier, "Âge et usage de la clé qui chiffre le stockage"),
    "openbao.policies": (openbao_logins.policies, "Empreinte de chaque politique"),
    "openbao.auth_methods": (openbao_logins.auth_methods, "Modes de connexion ouverts et verrouillage"),
    "openbao.people": (openbao_logins.people, "Comptes de personnes, leurs politiques et leurs identités"),
    "openbao.second_factor": (openbao_logins.second_factor, "Second facteur exigé, et de qui"),
    "openbao.approles": (openbao_logins.approles, "Connexions de machines : adresses, durées, usages"),
    "openbao.tokens": (openbao_logins.tokens, "Jetons en vie, comptés ; aucun n’est lu"),
    "openbao.keys": (openbao_keys.transit, "Clés de transit et de clients : type, âge, interdits"),
    "openbao.authorities": (openbao_keys.authorities, "Certificats des autorités du site"),
    "openbao.issuing": (openbao_keys.issuing, "Ce que les autorités acceptent de signer, TLS et SSH"),
    "openbao.secrets": (openbao_keys.secrets, "Âge des secrets de service, sans leur valeur"),
}
"""Facts of the site that the auditor reads, with what each is."""


def read(site: Site) -> Iterator[Fact]:
    """Everything that OpenBao tells its auditor; the seal is told without a login."""
    place = vault.place_of(site, catalogue.load())
    yield from _seals(place)
    try:
        session = Session(place, vault.auditor_client(place), datetime.now(UTC))
    except SocleError as error:
        for name in KINDS:
            yield Fact(name=name, subject=site.name, problem=f"pas de connexion à OpenBao : {why(error)}")
        return
    for name, (reader, _what) in KINDS.items():
        yield fact(name, site.name, reader, session)


def fact(name: str, site: str, reader: Reader, session: Session) -> Fact:
    """One reading; what goes wrong with it is told, and hides no other."""
    try:
        return Fact(name=name, subject=site, value=reader(session))
    except Forbidden as error:
        problem = f"403 : OpenBao refuse cette lecture à l’auditeur ({error})"
    except VaultError as error:
        problem = f"OpenBao répond par une erreur ({error})"
    except requests.exceptions.RequestException as error:
        problem = f"OpenBao ne répond plus ({type(error).__name__})"
    except (KeyError, TypeError, ValueError, AttributeError, x509.ExtensionNotFound) as error:
        problem = f"réponse d’une forme inattendue ({type(error).__name__} : {error})"
    return Fact(name=name, subject=site, problem=problem)


def _seals(place: Place) -> Iterator[Fact]:
    for node in place.nodes:
        try:
            answer: dict[str, Any] = client(place, node).adapter.get("/v1/sys/seal-status")
            value = {
                "version": answer["version"],
                "type": answer["type"],
                "initialised": answer["initialized"],
                "sealed": answer["sealed"],
                "shares": answer["n"],
                "threshold": answer["t"],
                "storage": answer["storage_type"],
            }
            yield Fact(name=SEAL, subject=node.name, value=value)
        except (SocleError, VaultError, requests.exceptions.RequestException, KeyError, TypeError) as error:
            yield Fact(name=SEAL, subject=node.name, problem=f"OpenBao ne dit pas son état : {why(error)}")


def read_snapshot(site: Site) -> Iterator[Fact]:
    """The last copy of the storage that this machine took, as it noted it itself."""
    place = vault.place_of(site, catalogue.load())
    taken = durable.read_json(place.folder / TAKEN)
    if not taken:
        value: dict[str, Any] = {"taken": False}
    else:
        age = datetime.now(UTC) - datetime.fromisoformat(taken["time"])
        value = {
            "taken": True,
            "age_hours": round(age.total_seconds() / 3600, 1),
            "bytes": taken["bytes"],
            "checked": taken["sha256"] is not None,
        }
    yield Fact(name=SNAPSHOT, subject=site.name, value=value)
    if "entries" in taken:
        inside = {"entries": taken["entries"], "in_clear": taken["in_clear"]}
        yield Fact(name=CONTENT, subject=site.name, value=inside)
    else:
        reason = (
            "aucune copie prise" if not taken else "la dernière copie n’a pas été examinée : en reprendre une"
        )
        yield Fact(name=CONTENT, subject=site.name, problem=reason)
    yield openbao_copies.way(site, place)


COLLECTORS: tuple[Collector, ...] = (
    *openbao_wanted.COLLECTORS,
    Collector(
        name="openbao",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(SEAL, of_component("openbao"), "Sceau de chaque nœud : type, parts, version"),
            *(FactKind(name, of_site, what) for name, (_reader, what) in KINDS.items()),
        ),
        read=read,
        permission=PERMISSION,
    ),
    Collector(
        name="openbao snapshots",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(SNAPSHOT, of_site, "Dernière copie du stockage d’OpenBao"),
            FactKind(CONTENT, of_site, "Ce que la dernière copie tient, et ce qui y serait en clair"),
            FactKind(openbao_copies.WAY, of_site, "Le lien par lequel la copie vient, et le lieu où elle va"),
        ),
        read=read_snapshot,
        permission="l’état du site sur la machine de déploiement, et une poignée de main TLS avec OpenBao",
    ),
)
