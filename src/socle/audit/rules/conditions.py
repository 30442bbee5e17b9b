"""What ``expect`` may ask of one value: a small vocabulary, the same for every generic rule.

A plain value asks for equality. A mapping asks for what its words say, all of them::

    {min: 15} {max: 30} {in: [a, b]} {not: x} {matches: "^…$"} {absent: true} {present: true}
    {has: [a, b]}       a list or a text in words that has all of these
    {only: [a, b]}      a list or a text in words (blanks or commas) that has nothing but these
    {lacks: [a, b]}     a list or a text in words that has none of these
    {empty: true}       a list, mapping or text without content
    {count: {min: 3}}   how many items
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

from socle.audit.rules.registry import Unreadable

ABSENT: Final = type("Absent", (), {"__repr__": lambda _self: "absent"})()
"""The value of a path that leads nowhere."""

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def at(value: Any, path: str) -> Any:
    """What stands at a path: steps joined by ``/``; a step of a list is a number. ``ABSENT`` when nothing
    does.

    A key that holds a ``/`` itself, as the path of a file, is found whole before it is cut.
    """
    if path == "":
        return value
    if isinstance(value, Mapping):
        for key in sorted((key for key in value if path == key or path.startswith(f"{key}/")), key=len)[::-1]:
            found = at(value[key], path[len(key) + 1 :])
            if found is not ABSENT:
                return found
        return ABSENT
    if isinstance(value, list | tuple):
        step, _slash, rest = path.partition("/")
        return at(value[int(step)], rest) if step.isdigit() and int(step) < len(value) else ABSENT
    return ABSENT


def holds(value: Any, condition: Any) -> bool:
    """Whether a value is as a condition asks.

    Raises:
        Unreadable: the condition has a word that is not of this vocabulary, or the value cannot be compared.
    """
    if not isinstance(condition, Mapping):
        return _same(value, condition)
    unknown = condition.keys() - WORDS.keys()
    if unknown or not condition:
        raise Unreadable(f"condition inconnue : {', '.join(sorted(unknown)) or 'vide'}")
    return all(WORDS[word](value, wanted) for word, wanted in condition.items())


SHOWN = 40
"""Items of a list that a report shows; all of them stand in the facts."""


def told(condition: Any) -> str:
    """A condition in French, for a report."""
    if not isinstance(condition, Mapping):
        return shown(condition)
    return " et ".join(
        YES_NO[word][bool(wanted)] if word in YES_NO else f"{FRENCH[word]} {shown(wanted)}"
        for word, wanted in condition.items()
    )


def shown(value: Any) -> str:
    """A value as a report shows it."""
    if value is ABSENT or value is None:
        return "absent"
    if isinstance(value, bool):
        return "vrai" if value else "faux"
    if isinstance(value, Mapping) and value.keys() <= WORDS.keys() and value:
        return told(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} : {shown(item)}" for key, item in value.items()) or "vide"
    if isinstance(value, list | tuple | set | frozenset):
        items = [shown(item) for item in islice(value, SHOWN)]
        more = [f"et {len(value) - SHOWN} de plus"] if len(value) > SHOWN else []
        return ", ".join([*items, *more]) or "vide"
    return str(value)


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) and isinstance(value, str):
        return value.lower() in (_TRUE if wanted else _FALSE)
    if isinstance(value, str) and isinstance(wanted, int | float):
        return _number(value) == wanted
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is ABSENT or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return [word for word in re.split(r"[\s,]+", value) if word]
    return [] if value is ABSENT or value is None else [str(item) for item in value]


def _empty(value: Any) -> bool:
    return value is ABSENT or value is None or (hasattr(value, "__len__") and len(value) == 0)


def _at_least(value: Any, wanted: Any) -> bool:
    number = _number(value)
    return number is not None and number >= wanted


def _at_most(value: Any, wanted: Any) -> bool:
    number = _number(value)
    return number is not None and number <= wanted


def _matches(value: Any, wanted: Any) -> bool:
    return value is not ABSENT and re.search(wanted, str(value)) is not None


WORDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "min": _at_least,
    "max": _at_most,
    "in": lambda value, wanted: any(_same(value, item) for item in wanted),
    "not": lambda value, wanted: value is not ABSENT and not _same(value, wanted),
    "matches": _matches,
    "absent": lambda value, wanted: (value is ABSENT or value is None) is wanted,
    "present": lambda value, wanted: (value is not ABSENT and value is not None) is wanted,
    "has": lambda value, wanted: set(map(str, wanted)) <= set(_words(value)),
    "only": lambda value, wanted: bool(_words(value)) and set(_words(value)) <= set(map(str, wanted)),
    "lacks": lambda value, wanted: value is not ABSENT and not set(map(str, wanted)) & set(_words(value)),
    "empty": lambda value, wanted: _empty(value) is wanted,
    "count": lambda value, wanted: value is not ABSENT and holds(len(value), wanted),
}
FRENCH: Final = {
    "min": "au moins",
    "max": "au plus",
    "in": "l’un de",
    "not": "autre que",
    "matches": "de la forme",
    "has": "contenant",
    "only": "rien d’autre que",
    "lacks": "sans",
    "count": "nombre",
}
YES_NO: Final = {
    "absent": ("présent", "absent"),
    "present": ("absent", "présent"),
    "empty": ("non vide", "vide"),
}
"""The words that ask yes or no, in French: what no asks for, and what yes does."""
