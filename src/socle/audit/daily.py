"""The audit of every day: read the running cloud, keep it in the chain, tell what is worse than before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from socle import durable
from socle.audit import alarms, alerts, bundle, changes, controls, notary, verify
from socle.audit.collect import collect
from socle.audit.evaluating import evaluate
from socle.audit.model import Audit
from socle.errors import SocleError
from socle.paths import state_dir
from socle.site import Site

LAST = "audit-daily.json"
"""Which bundle the last daily audit made: one by hand in between is no reason to stay silent."""

type Tell = Callable[[str], None]


@dataclass(frozen=True)
class Day:
    """What one daily audit found.

    Args:
        lines: what a person reads, in French.
        alarm: the lines of what is worse, which were told to the journal and to people; none on a good day.
    """

    bundle: Path
    lines: tuple[str, ...]
    alarm: tuple[str, ...]


def loaded(name: str, load: Callable[[], Site], journal: Path = alerts.JOURNAL) -> Site:
    """The site whose day it is. Files that are not valid any more are told to the journal: they name nobody.

    Raises:
        SocleError: as ``load`` does.
    """
    try:
        return load()
    except SocleError:
        text = f"L’audit quotidien de {name} n’a pas abouti : les fichiers du site ne sont pas valides"
        alerts.to_journal(name, [text], journal)
        raise


def run(site: Site, tell: Tell = lambda _name: None, journal: Path = alerts.JOURNAL) -> Day:
    """Do it once. Only the live audit is done, which reads and changes nothing.

    Raises:
        SocleError: it could not be done or told to people; the journal has been told why.
    """
    with _ended(site, journal):
        try:
            day = _run(site, tell)
        except Exception as error:
            # Whatever stops it, nobody may take the silence for a good day.
            _alert(site, None, [f"L’audit quotidien de {site.name} n’a pas abouti : {error}"], journal)
            raise
    _alert(site, day.bundle.name, day.alarm, journal)
    # Only now: what nobody could be told is told again the next day.
    durable.write_json(state_dir(site.name) / LAST, {"bundle": day.bundle.name})
    return day


@contextmanager
def _ended(site: Site, journal: Path) -> Iterator[None]:
    """Tell the alarm when the system ends the run, as it does after its time limit; then end at once."""

    def ended(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        try:
            _alert(site, None, [f"L’audit quotidien de {site.name} a été interrompu par le système"], journal)
        finally:
            os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _alert(site: Site, made: str | None, lines: Sequence[str], journal: Path) -> None:
    """Tell the alarm, if there is one, then write the day down: a full disk keeps nobody from being told."""
    try:
        if lines:
            _tell(site, lines, journal)
    finally:
        alarms.remember(site.name, datetime.now(UTC), made, len(lines))


def _tell(site: Site, lines: Sequence[str], journal: Path) -> None:
    alerts.to_journal(site.name, lines, journal)
    try:
        alerts.to_people(site, f"Audit quotidien de {site.name} : à regarder", lines)
    except SocleError as error:
        alerts.to_journal(site.name, [f"L’alerte de l’audit n’est pas partie : {error}"], journal)
        raise


def _run(site: Site, tell: Tell) -> Day:
    facts = collect(site, "live", tell=tell).frozen()
    audit = evaluate(facts)
    chain = notary.chain_of(site)
    made = bundle.write(chain, facts, audit, notary.notary_of(site))
    faults = verify.verify(chain, notary.trust_of(site)).faults
    broken = tuple(f"Chaîne de preuves : {fault}" for fault in faults)
    if broken:
        return _all_red(made, audit, broken)
    before, known = _before(site, chain), controls.load()
    if before is None:
        return Day(made, (f"Premier audit gardé : {made.name}",), ())
    try:
        found = changes.between(before, made)
    except SocleError:
        why = f"Le dossier {before.name} est d’une autre version du kit : rien ne lui est comparé"
        return _all_red(made, audit, (why,))
    worse = tuple(changes.alarm(found, known))
    since = (f"Depuis {before.name}, dossier {made.name} :",) if worse else ()
    return Day(made, tuple(changes.told(found, known)), (*since, *worse))


def _all_red(made: Path, audit: Audit, why: tuple[str, ...]) -> Day:
    """Where nothing can be compared, or with nothing that is still proved: all that is red is told again."""
    red = changes.changes(audit.model_copy(update={"faults": (), "judgements": ()}), audit)
    told = (*why, *changes.alarm(red, controls.load()))
    return Day(made, told, told)


def _before(site: Site, chain: Path) -> Path | None:
    """The bundle of the daily audit before, else the live one before; None when there is none."""
    known = (durable.read_json(state_dir(site.name) / LAST) or {}).get("bundle")
    try:
        return changes.compared(chain, known)[0]
    except SocleError:
        return None if known is None else _earlier(chain)


def _earlier(chain: Path) -> Path | None:
    try:
        return changes.compared(chain)[0]
    except SocleError:
        return None
