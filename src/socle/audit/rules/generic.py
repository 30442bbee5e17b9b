"""Rules that most controls use: settings by path, records of a list, and two facts that must agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from socle.audit.rules.conditions import ABSENT, at, holds, shown, told
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule


@rule("settings")
def settings(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each path of ``expect`` leads to a value as its condition asks."""
    if not expect:
        raise Unreadable("le contrôle n’attend rien")
    for path, condition in expect.items():
        found = at(value, path)
        if not holds(found, condition):
            yield Deviation(path, told(condition), shown(found))


@rule("records")
def records(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Each record of a list is as ``each`` asks; ``where`` picks the records, ``at`` the list, ``name`` what
    a record
    is called by. Fewer records than ``at_least`` (1) cannot prove anything: not evaluated. ``none: true``
    asks that no record is picked at all, of a list that was read; ``none_is_fine: true`` allows that none is
    picked from a list that is not empty.
    """
    listed = at(value, expect.get("at", ""))
    if isinstance(listed, Mapping):
        listed = [
            {"name": key, **item} if isinstance(item, Mapping) else item for key, item in listed.items()
        ]
    if not isinstance(listed, list | tuple):
        raise Unreadable(f"pas de liste à {expect.get('at') or 'la racine'}")
    picked = [
        record
        for record in listed
        if all(holds(at(record, path), condition) for path, condition in expect.get("where", {}).items())
    ]
    if expect.get("none"):
        for record in picked:
            yield Deviation(_called(record, expect), "aucun", shown(record))
        return
    if not picked and expect.get("none_is_fine") and listed:
        return
    if len(picked) < expect.get("at_least", 1):
        wanted = expect.get("at_least", 1)
        raise Unreadable(
            f"rien à juger : {len(picked)} élément(s) de cette sorte, {wanted} au moins attendu(s)"
        )
    for record in picked:
        for path, condition in expect["each"].items():
            found = at(record, path)
            if not holds(found, condition):
                yield Deviation(f"{_called(record, expect)} {path}".strip(), told(condition), shown(found))


@rule("same")
def same(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """What is at ``at`` equals what is at ``as_at`` of the fact ``as`` (of the same subject, or of the site).

    Lists are compared as sets; mappings key by key.
    """
    found, wanted = at(value, expect.get("at", "")), at(_other(expect["as"], others), expect.get("as_at", ""))
    if found is ABSENT or wanted is ABSENT:
        raise Unreadable("l’un des deux termes de la comparaison est absent")
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted(found.keys() | wanted.keys()):
            if found.get(key, ABSENT) != wanted.get(key, ABSENT):
                yield Deviation(str(key), shown(wanted.get(key, ABSENT)), shown(found.get(key, ABSENT)))
        return
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        more = sorted({shown(item) for item in found} - {shown(item) for item in wanted})
        less = sorted({shown(item) for item in wanted} - {shown(item) for item in found})
        yield from (Deviation(item, "absent", "présent") for item in more)
        yield from (Deviation(item, "présent", "absent") for item in less)
        return
    if found != wanted:
        yield Deviation(expect.get("at", ""), shown(wanted), shown(found))


@rule("within")
def within(value: Any, expect: Mapping[str, Any], others: Others) -> Iterator[Deviation]:
    """Nothing is in the list at ``at`` that is not in the list at ``as_at`` of the fact ``as``."""
    found, wanted = at(value, expect.get("at", "")), at(_other(expect["as"], others), expect.get("as_at", ""))
    if not isinstance(found, list | tuple) or not isinstance(wanted, list | tuple):
        raise Unreadable("l’un des deux termes de la comparaison n’est pas une liste")
    allowed = {shown(item) for item in wanted}
    for item in found:
        if shown(item) not in allowed:
            yield Deviation(shown(item), "déclaré", "non déclaré")


def _called(record: Any, expect: Mapping[str, Any]) -> str:
    named = at(record, expect.get("name", "name"))
    return "" if named is ABSENT else shown(named)


def _other(name: str, others: Others) -> Any:
    values = others.facts.get(name, {})
    return values[others.subject] if others.subject in values else others.one(name)
