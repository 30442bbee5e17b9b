"""The watch over threats as far as a machine sees it: local copies of databases of vulnerabilities."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.site import Site
from socle.supply.survey import Databases

MODIFIED: Final = re.compile(rb'"modified"\s*:\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)')
"""When a record was changed last, in UTC (https://ossf.github.io/osv-schema/, `modified`)."""
TRACKED: Final = re.compile(r"CVE-(\d{4})-\d+")
DAY: Final = 86400


def _read(site: Site) -> Iterator[Fact]:
    places = Databases.of_site(site)
    if not (places.osv or places.debian_tracker):
        why = "site.yml ne nomme aucune copie locale de base de vulnérabilités (vulnerabilities)"
        yield Fact(name="watch.copies", subject=site.name, problem=why)
        return
    now = datetime.now(UTC)
    found = {}
    if places.osv:
        found["osv"] = osv(places.osv, now)
    if places.debian_tracker:
        found["debian_tracker"] = tracker(places.debian_tracker, now)
    yield Fact(name="watch.copies", subject=site.name, value=found)


def osv(folder: Path, now: datetime) -> dict[str, Any]:
    """How many records a copy has, and how old the newest is by what it says, not by when it was copied."""
    files = list(folder.rglob("*.json"))
    moments = [one[1].decode() for file in files if (one := MODIFIED.search(file.read_bytes()))]
    newest = datetime.fromisoformat(max(moments)).replace(tzinfo=UTC) if moments else None
    return {"entries": len(moments), "age_days": _days(now, newest)}


def tracker(file: Path, now: datetime) -> dict[str, Any]:
    """How many reports Debian's tracker has, and when it was copied: it says no moment itself."""
    try:
        told = json.loads(file.read_bytes())
        reports = {name for package in told.values() for name in package if TRACKED.match(name)}
        copied = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except (OSError, ValueError, TypeError, AttributeError):
        return {"entries": 0, "age_days": None}
    return {"entries": len(reports), "age_days": _days(now, copied)}


def _days(now: datetime, moment: datetime | None) -> float | None:
    return round((now - moment).total_seconds() / DAY, 1) if moment else None


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="watch",
        kinds=frozenset({"static", "live"}),
        facts=(
            FactKind(
                "watch.copies", of_site, "Les copies de bases de vulnérabilités, leur taille et leur âge"
            ),
        ),
        read=_read,
        permission="les fichiers que site.yml nomme, sur la machine qui déploie",
    ),
)
