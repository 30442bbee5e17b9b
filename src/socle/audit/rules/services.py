"""Rules on services that run: hops of the proxy, grants in the database, servers on their hypervisors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from socle.audit.rules.conditions import at, holds, shown, told
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule

_LOCAL = re.compile(r"127\.\d+\.\d+\.\d+:\d+")
_HOPS = {"bind": 0, "dispatch": 0, "server": 1, "server-template": 2}
"""What opens an entry or leads on, and which of its words is the address."""


@rule("proxy_tls")
def proxy_tls(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """In HAProxy's ``file``, every entry from the network and every way back over it speaks TLS.

    Of a server the certificate is verified. ``except`` names sections that pass TLS on without ending it.
    """
    options = at(value, f"{expect['file']}/options")
    hops = [
        (name, str(line))
        for name, lines in options.items()
        if name.rpartition(".")[2] in _HOPS
        for line in (lines if isinstance(lines, list) else [lines])
    ]
    if not hops:
        raise Unreadable("le mandataire n’a ni entrée ni retour")
    for name, line in hops:
        section, _dot, kind = name.rpartition(".")
        words = line.partition("#")[0].split()
        addresses = "".join(words[_HOPS[kind] : _HOPS[kind] + 1]).split(",")
        if section.split()[1:2] in [[one] for one in expect.get("except", ())]:
            continue
        if all(_LOCAL.fullmatch(one) for one in addresses):
            continue
        verified = {word for before, word in pairwise(words) if before == "verify"}
        if "ssl" not in words or "no-ssl" in words:
            yield Deviation(name, "ssl", line)
        elif kind != "bind" and verified != {"required"}:
            yield Deviation(name, "verify required", line)


@rule("own_databases")
def own_databases(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each account of MariaDB that comes by the network reaches its own component's databases only."""
    judged = [account for account in value["accounts"] if account["host"] != "localhost"]
    if not judged:
        raise Unreadable("aucun compte ne vient par le réseau")
    for account in judged:
        for database in sorted(set(account["databases"]) - set(account["own"])):
            yield Deviation(account["name"], shown(account["own"]), database)


@rule("guests")
def guests(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each server is as ``each`` asks, and each of its disks as ``disks`` asks.

    A hypervisor may have none; when none has any (of the same fact, named twice in ``needs``), there is
    nothing to judge.
    """
    found = value["guests"]
    if not found and not any(host["guests"] for facts in others.facts.values() for host in facts.values()):
        raise Unreadable("aucun serveur sur aucun hyperviseur")
    for guest in found:
        yield from _unlike(guest["name"], guest, expect.get("each", {}))
        for number, disk in enumerate(guest["disks"], 1):
            yield from _unlike(f"{guest['name']} disque {number}", disk, expect.get("disks", {}))


def _unlike(name: str, record: Any, wanted: Mapping[str, Any]) -> Iterator[Deviation]:
    for path, condition in wanted.items():
        found = at(record, path)
        if not holds(found, condition):
            yield Deviation(f"{name} {path}", told(condition), shown(found))
