"""The copies of the central logs that this machine keeps: when, whole or not, and whether they still are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from socle import durable
from socle.audit.collect.collector import Collector, FactKind, of_component
from socle.audit.model import Fact
from socle.logs.copies import TAKEN, content, size
from socle.paths import state_dir
from socle.site import Site


def _read(site: Site) -> Iterator[Fact]:
    noted = durable.read_json(state_dir(site.name) / TAKEN)
    for host in of_component("logs_store")(site):
        yield Fact(name="logs.copy", subject=host, value=told(noted.get(host), datetime.now(UTC)))


def told(noted: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    """What is known of a store's copy; ``as_verified``: each of its bytes is what was verified."""
    if noted is None:
        return {"taken": False}
    place = Path(noted["folder"])
    there = size(place)
    return {
        "taken": True,
        "age_hours": round((now - datetime.fromisoformat(noted["time"])).total_seconds() / 3600, 1),
        **there,
        "as_verified": content(place) == noted.get("sha256"),
        "faults": noted["faults"],
    }


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="log copies",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(
                "logs.copy",
                of_component("logs_store"),
                "La copie du collecteur : son âge, ce que ses sceaux en disent",
            ),
        ),
        read=_read,
        permission="l’état du site et le dossier de la copie, sur la machine qui déploie",
    ),
)
