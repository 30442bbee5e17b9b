"""The audits before this one: when, of which hosts, whether each is proved; their alarms; their timer."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from socle.audit import alarms, bundle, notary, schedule, verify
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.site import Site

LATEST: Final = 3
"""How many audits of the running cloud are verified, from the newest back."""
PROOF: Final = "host.system"
"""A fact of every host: who has it was reached."""


RAISED_WITHIN: Final = timedelta(hours=26)
"""A day, the longest of the year, and what an audit takes: after that, silence is no good day."""
PROPERTIES: Final = ("ActiveState", "UnitFileState", "Result", "LastTriggerUSec")


def _read(site: Site) -> Iterator[Fact]:
    live = [path for path in bundle.bundles(notary.chain_of(site)) if path.name.endswith("-live")]
    value = {}
    if live:  # else nothing of the signer or the authority has to be there
        trust = notary.trust_of(site)
        value = {path.name: kept(site, path, trust) for path in live[-LATEST:]}
    yield Fact(name="audit.kept", subject=site.name, value=value)
    yield alarmed(site, datetime.now(UTC))
    yield scheduled(site, schedule.UNITS)


def kept(site: Site, path: Path, trust: verify.Trust) -> dict[str, Any]:
    """One audit: when its facts were read, whether it is proved, which hosts it did not reach."""
    found = verify.verify(path, trust)
    # Alone, a bundle cannot prove those before it; its own parts, signature and timestamp are what is asked.
    unproved = found.unproved_itself
    try:
        moment = bundle.moment_of(path).isoformat()
        read = bundle.read_facts(path / verify.FACTS).of(PROOF)
    except (SocleError, ValueError, KeyError) as error:
        return {"date": "1970-01-01", "proved": False, "why": [str(error)], "unread": sorted(site.hosts)}
    reached = {host for host, fact in read.items() if fact.problem is None}
    return {
        "date": moment,
        "proved": not found.faults and not unproved,
        "why": [*found.faults, *unproved],
        "unread": sorted(set(site.hosts) - reached),
    }


def alarmed(site: Site, now: datetime) -> Fact:
    """What the daily audits told, and whether a person looked at each alarm."""
    name, days = "audit.alarms", alarms.judged(site, now)
    if not days:
        why = "aucun audit quotidien n’a été fait depuis un mois : rien ne pouvait donner l’alarme"
        return Fact(name=name, subject=site.name, problem=why)
    last = max(datetime.fromisoformat(day["at"]) for day in days.values())
    if now - last > RAISED_WITHIN:
        why = f"le dernier audit quotidien est du {last:%d/%m/%Y} : depuis, rien ne pouvait donner l’alarme"
        return Fact(name=name, subject=site.name, problem=why)
    return Fact(name=name, subject=site.name, value=days)


def scheduled(site: Site, folder: Path) -> Fact:
    """The timer of the daily audit as systemd has it, and whether its units are those of this kit."""
    if not schedule.BOOTED.is_dir():
        why = "systemd ne tourne pas sur cette machine : aucun minuteur ne s’y lit"
        return Fact(name="audit.schedule", subject=site.name, problem=why)
    timer = f"{schedule.stem(site)}.timer"
    words = ["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", timer]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = f"systemctl finit par {done.returncode}"
        return Fact(name="audit.schedule", subject=site.name, problem=why)
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return Fact(name="audit.schedule", subject=site.name, value={**told, "laid": laid(site, folder)})


def laid(site: Site, folder: Path) -> bool:
    """Whether both units are there, byte by byte as this kit would lay them for this site."""
    wanted = schedule.units(site)
    there = {name: path.read_text("utf-8") for name in wanted if (path := folder / name).is_file()}
    return there == wanted


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="audits",
        kinds=frozenset({"live"}),
        facts=(
            FactKind("audit.kept", of_site, "Les audits précédents : date, preuve vérifiée, hôtes lus"),
            FactKind(
                "audit.alarms",
                of_site,
                "Les alarmes de l’audit quotidien, et l’attente de chacune, en heures",
            ),
            FactKind(
                "audit.schedule", of_site, "Le minuteur de l’audit quotidien, et si ses unités sont du kit"
            ),
        ),
        read=_read,
        permission="les dossiers de preuves de la machine qui déploie, vérifiés comme un auditeur le fait",
    ),
)
