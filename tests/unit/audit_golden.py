"""Facts of good clouds, recorded once: the ground on which every control is proved both ways.

Each folder of ``audit_facts`` is one cloud, each file what one collector read there
(``tools/record_facts.py`` writes them). A folder named ``…-static`` holds what was read before a deployment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from socle.audit.model import Fact, Facts

FOLDER = Path(__file__).with_name("audit_facts")


@cache
def clouds() -> tuple[str, ...]:
    """The names of the recorded clouds."""
    return tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))


@cache
def golden(cloud: str) -> Facts:
    """All that was recorded of a cloud, as one pass."""
    facts: list[Fact] = []
    expected: dict[str, tuple[str, ...]] = {}
    moments: list[datetime] = []
    for path in sorted((FOLDER / cloud).glob("*.json")):
        recorded: dict[str, Any] = json.loads(path.read_text("utf-8"))
        facts += [Fact.model_validate(fact) for fact in recorded["facts"]]
        expected |= {name: tuple(subjects) for name, subjects in recorded["expected"].items()}
        moments.append(datetime.fromisoformat(recorded["ended"]))
    return Facts(
        site="lab",
        kind="static" if cloud.endswith("-static") else "live",
        started=min(moments, default=datetime(2026, 1, 1, tzinfo=UTC)),
        ended=max(moments, default=datetime(2026, 1, 1, tzinfo=UTC)),
        tool="golden",
        expected=expected,
        facts=tuple(facts),
    )


def one_pass(facts: Iterable[Fact]) -> Facts:
    """Some facts as a whole live reading of now: nothing else had to be read."""
    told, now = tuple(facts), datetime.now(UTC)
    expected: dict[str, tuple[str, ...]] = {}
    for fact in told:
        expected[fact.name] = (*expected.get(fact.name, ()), fact.subject)
    return Facts(site="lab", kind="live", started=now, ended=now, tool="test", expected=expected, facts=told)
