"""The central store of logs: what the kit's own verification says of it, without remembering anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from socle import catalogue, vault
from socle.audit.collect.session import HostAnswer
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.logs.asking import HEADS, checker, judged, public_keys
from socle.logs.asking import stores as store_hosts
from socle.logs.chain import Head, Measured
from socle.paths import state_dir
from socle.site import Site


def stores(site: Site, answers: Mapping[str, HostAnswer]) -> Iterator[Fact]:
    """One fact for each store: faults of its seals (none when it is as it was sealed), rights, retention."""
    hosts = store_hosts(site)
    try:
        keys = public_keys(vault.place_of(site, catalogue.load()))
    except SocleError as error:
        why = f"clé publique des sceaux non lue dans OpenBao ({error})"
        yield from (Fact(name="logs.store", subject=host.name, problem=why) for host in hosts)
        return
    heads = _heads(site)
    for host in hosts:

        def shape(said: dict[str, Any], name: str = host.name) -> dict[str, Any]:
            return _store(site, said, keys, heads.get(name))

        yield answers[host.name].fact("logs.store", host.name, "log_store", shape)


def _store(
    site: Site, said: dict[str, Any], keys: Mapping[str, str], head: Mapping[str, Any] | None
) -> dict[str, Any]:
    told = {name: value for name, value in said.items() if name != "measured"}
    measured = Measured(**said["measured"])
    now = datetime.now(UTC).timestamp()
    last = json.loads(measured.seals[-1])["time"] if measured.seals else None
    return {
        **told,
        "faults": judged(site, measured, checker(keys), Head(**head) if head else None),
        "seals": len(measured.seals),
        "last_seal": last,
        "silent_seconds": {
            name: round(now - measured.heard[name]) if name in measured.heard else None
            for name in sorted(site.hosts)
        },
    }


def _heads(site: Site) -> dict[str, Any]:
    path = state_dir(site.name) / HEADS
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return found
