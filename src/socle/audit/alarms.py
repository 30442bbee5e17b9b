"""Alarms of the daily audit, and whether a person looked at each: one entry a day, beside the chain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from socle import durable
from socle.paths import state_dir
from socle.site import Site
from socle.site.records import Acknowledgement

DAYS: Final = "audit-days.json"
REGISTER: Final = "alarms"
"""``records/alarms.yml`` says who looked at which."""
KEPT: Final = timedelta(days=400)
JUDGED: Final = timedelta(days=31)
"""How far back an auditor looks: an alarm of a quarter ago stands in the chain, not in the day's report."""


def remember(site: str, moment: datetime, bundle: str | None, lines: int) -> str:
    """Write down that a daily audit was done, and with how many lines it raised an alarm; its name.

    Args:
        bundle: the evidence; None when the audit could not be done, which is an alarm as well.
    """
    path = state_dir(site) / DAYS
    known = durable.read_json(path)
    oldest = (moment - KEPT).isoformat()
    name = f"{moment.astimezone(UTC):%Y%m%d-%H%M%S}"
    days = {key: day for key, day in known.items() if day["at"] >= oldest}
    durable.write_json(path, {**days, name: {"at": moment.isoformat(), "bundle": bundle, "lines": lines}})
    return name


def judged(site: Site, now: datetime) -> dict[str, dict[str, Any]]:
    """The daily audits of the last 31 days, by name.

    ``hours`` is how long an alarm waited, or waits, for a person to acknowledge it; zero where there is none.
    An entry of the register that is older than the alarm acknowledges nothing.
    """
    known = durable.read_json(state_dir(site.name) / DAYS)
    register = site.records.get(REGISTER, {})
    oldest = (now - JUDGED).isoformat()
    return {name: _day(day, register.get(name), now) for name, day in known.items() if day["at"] >= oldest}


def waiting(days: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The alarms that nobody acknowledged, the oldest first."""
    return sorted(name for name, day in days.items() if day["lines"] and day["by"] is None)


def to_write(name: str, now: datetime) -> str:
    """What a person adds to the register once they looked."""
    return f"  {name}:\n    at: {now.isoformat(timespec='seconds')}\n    by: …\n    conclusion: …"


def _day(day: Mapping[str, Any], entry: object, now: datetime) -> dict[str, Any]:
    told = datetime.fromisoformat(day["at"])
    seen = entry if isinstance(entry, Acknowledgement) and told <= entry.at <= now else None
    until = seen.at if seen else now
    hours = (until - told).total_seconds() / 3600 if day["lines"] else 0.0
    return {**day, "by": seen.by if seen else None, "hours": round(hours, 1)}
