"""What the site's files want OpenBao to be, as the deployment writes it: the same facts before and after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from socle import catalogue, vault
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.collect.openbao_logins import fingerprint
from socle.audit.model import Fact
from socle.site import Site
from socle.vault import duties, ssh, tenant_keys
from socle.vault.configuration import MOUNTS
from socle.vault.people import MOUNT
from socle.vault.place import Place
from socle.vault.policies import Rules, approles, policies, text
from stacks.tenant.plan import domain_name

CHANGING: Final = frozenset({"create", "update", "patch", "delete", "sudo"})
GONE: Final = frozenset({"erased", "certified"})
"""States of the registry in which a tenant has no key left."""


def wanted_policies(place: Place) -> dict[str, Rules]:
    """Every policy that the deployment writes; the accessor of people's logins is told as its mount."""
    return {**policies(place), **duties.duties(place), duties.PERSON: duties.person(MOUNT)}


def _read(site: Site) -> Iterator[Fact]:
    place = vault.place_of(site, catalogue.load())
    rules = wanted_policies(place)
    facts: dict[str, Any] = {
        "openbao.wanted": {
            "policies": {name: fingerprint(text(one)) for name, one in sorted(rules.items())},
            "approles": sorted(approles(place)),
            "mounts": sorted([*MOUNTS, *ssh.MOUNTS]),
            "logins": sorted(place.people),
            "people": {
                login: sorted(duties.policies_of(roles)) for login, roles in sorted(place.people.items())
            },
            "nodes": sorted(node.name for node in place.nodes),
            "shares": place.shares,
            "threshold": place.threshold,
        },
        "openbao.grants": list(_grants(rules)),
        "openbao.duties": {
            "people": [
                {"name": login, "roles": sorted(roles), "policies": sorted(duties.policies_of(roles))}
                for login, roles in sorted(place.people.items())
            ],
            "custodians": [one.login for one in place.custodians],
        },
        "openbao.tenants": _tenants(site),
    }
    for name, value in facts.items():
        yield Fact(name=name, subject=site.name, value=value)


def _grants(rules: dict[str, Rules]) -> Iterator[dict[str, Any]]:
    """Each path of each policy that is dangerous to give: secrets, keys, backups, policies, and wildcards."""
    for policy, paths in sorted(rules.items()):
        for path, rule in sorted(paths.items()):
            kind = _kind(path, set(rule["capabilities"]))
            if kind and "deny" not in rule["capabilities"]:
                yield {
                    "policy": policy,
                    "path": path,
                    "kind": kind,
                    "capabilities": sorted(rule["capabilities"]),
                }


def _kind(path: str, can: set[str]) -> str | None:
    deletes_key = path.startswith(f"{tenant_keys.MOUNT}/keys/") and "delete" in can
    matches = {
        "reads service secrets": path.startswith("kv/data/services/") and "read" in can,
        "reads tenant secrets": path.startswith("kv/data/tenants/") and "read" in can,
        "decrypts for tenants": path.startswith(f"{tenant_keys.MOUNT}/decrypt/"),
        "deletes tenant keys": deletes_key,
        "copies the storage": path == "sys/storage/raft/snapshot",
        "replaces the storage": path.startswith("sys/storage/raft/snapshot-"),
        "exports keys": "/export/" in path or "/backup/" in path,
        "signs": path.startswith("transit/sign/"),
        "writes policies": path.startswith("sys/polic") and bool(can & CHANGING),
        "signs authorities": path.startswith("pki_root/") and bool(can & CHANGING),
        "everything below": re.fullmatch(r"([\w-]+/)?\*", path) is not None,
    }
    return next((kind for kind, found in matches.items() if found), None)


def _tenants(site: Site) -> list[dict[str, Any]]:
    """The domain of each tenant that the site has or had, and whether it must have a key of its own."""
    return [
        {
            "domain": domain_name(siren),
            "state": entry.state,
            "has_servers": siren in site.tenants and bool(site.tenants[siren].servers),
            "gone": entry.state in GONE,
        }
        for siren, entry in sorted(site.registry.tenants.items())
    ]


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="openbao wanted",
        kinds=frozenset({"static", "live"}),
        facts=(
            FactKind("openbao.wanted", of_site, "Ce que le déploiement écrit dans OpenBao"),
            FactKind("openbao.grants", of_site, "Droits sensibles que les politiques donnent, et à qui"),
            FactKind("openbao.duties", of_site, "Rôles des personnes d’après people.yml"),
            FactKind("openbao.tenants", of_site, "Domaines des clients d’après le registre"),
        ),
        read=_read,
        permission="les fichiers du site, tels que validés",
    ),
)
