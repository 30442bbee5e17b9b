"""Rules of time: what must have happened lately, what must not have ended, and what must come in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from socle.audit.rules.conditions import ABSENT, at, holds, shown, told
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule

HOUR = timedelta(hours=1)
AHEAD: Final = timedelta(minutes=5)
"""How far clocks may stand apart: what is dated later is no proof of being recent."""


def moment_of(value: Any) -> datetime:
    """A day or a moment as facts hold it; a day begins at midnight UTC.

    Raises:
        Unreadable: it is neither.
    """
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Unreadable(f"pas une date : {shown(value)}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def entries(value: Any, expect: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a mapping or list that ``where`` picks, by name.

    Raises:
        Unreadable: it is neither.
    """
    listed = at(value, expect.get("at", ""))
    if isinstance(listed, list | tuple):
        listed = {str(at(one, expect.get("name", "name"))): one for one in listed}
    if not isinstance(listed, Mapping):
        raise Unreadable(f"pas de registre à {expect.get('at') or 'la racine'}")
    where = expect.get("where", {})
    return {
        name: one
        for name, one in listed.items()
        if all(holds(at(one, path), condition) for path, condition in where.items())
    }


@rule("recent")
def recent(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """The newest entry that ``where`` picks is at most ``days`` old by its ``date``, and is as ``each`` asks.

    With ``hours`` it is at most so many hours old. A register that holds no such entry is a deviation: it is
    kept, and says that nothing was done. What is dated after the facts did not happen yet.
    """
    path = expect.get("date", "date")
    unit, word = ("hours", "heures") if "hours" in expect else ("days", "jours")
    most = f"{expect[unit]} {word}"
    dated = {name: moment_of(at(one, path)) for name, one in entries(value, expect).items()}
    past = {name: moment for name, moment in dated.items() if moment <= others.moment}
    if not past:
        yield Deviation("", f"une entrée depuis {most}", "aucune")
        return
    newest = max(past, key=lambda name: past[name])
    if others.moment - past[newest] > timedelta(**{unit: expect[unit]}):
        when = past[newest] if unit == "hours" else past[newest].date()
        yield Deviation(newest, f"au plus {most}", when.isoformat())
    for step, condition in expect.get("each", {}).items():
        found = at(entries(value, expect)[newest], step)
        if not holds(found, condition):
            yield Deviation(f"{newest} {step}", told(condition), shown(found))


@rule("current")
def current(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Each entry has what ``each`` asks, and the date at each path of ``until`` is not past.

    Dates of ``until`` may be absent where ``each`` does not ask for them: then they do not end. When no entry
    at all says what stands at ``declared``, the site does not keep that: not evaluated.
    """
    picked = entries(value, expect)
    declared = expect.get("declared")
    if declared and all(at(one, declared) in (ABSENT, None) for one in picked.values()):
        raise Unreadable(f"aucun élément ne dit {declared}")
    if not picked:
        raise Unreadable("aucun élément à juger")
    for name, one in picked.items():
        for path, condition in expect.get("each", {}).items():
            found = at(one, path)
            if not holds(found, condition):
                yield Deviation(f"{name} {path}", told(condition), shown(found))
        for path in expect.get("until", ()):
            end = at(one, path)
            if end not in (ABSENT, None) and moment_of(end) + timedelta(days=1) <= others.moment:
                yield Deviation(f"{name} {path}", "une date à venir", shown(end))


@rule("in-order")
def in_order(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each entry has ``first`` and ``second``, ``first`` at least ``hours`` before ``second``.

    With ``at_most`` the second follows within that many hours.
    """
    picked = entries(value, expect)
    if not picked:
        raise Unreadable("aucun élément à juger")
    for name, one in picked.items():
        first, second = at(one, expect["first"]), at(one, expect["second"])
        missing = [key for key in ("first", "second") if at(one, expect[key]) in (ABSENT, None)]
        if missing:
            yield from (Deviation(f"{name} {expect[key]}", "une date", "absent") for key in missing)
            continue
        gap = moment_of(second) - moment_of(first)
        if gap < expect.get("hours", 0) * HOUR:
            yield Deviation(name, f"au moins {expect.get('hours', 0)} h d’avance", _hours(gap))
        if "at_most" in expect and gap > expect["at_most"] * HOUR:
            yield Deviation(name, f"au plus {expect['at_most']} h", _hours(gap))


def _hours(gap: timedelta) -> str:
    return f"{gap / HOUR:.1f} h"
