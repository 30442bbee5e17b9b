"""API audit events in the store: who did what, when, from where; and whose they are.

Nova, Neutron, Cinder, Glance and Barbican log CADF events (DSP0262) by keystonemiddleware's audit filter,
Keystone by its notifications, all as one JSON object behind the name of their logger. Placement has no such
filter; it says the same in a line for each request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LOGGER = "oslo.messaging.notification."
LINE = r"\d{4}-\d\d-\d\d [\d:.]+ \d+ [A-Z]+ "
"""How oslo.log begins each line; what follows is the logger, which no caller of an API can name."""
NOTIFIED = re.compile(LINE + re.escape(LOGGER) + r"[^{]*")
REQUEST = "audit.http.request"
"""Half an event: the response tells all of it again, with what came of it."""

UNKNOWN = {"", "unknown", "-", "None", None}
PLACEMENT = re.compile(
    LINE + r"placement\.requestlog \[\S+ (?P<request>\S+) "
    r"(?P<user>\S+) (?P<project>\S+) (?P<domain>\S+)(?: \S+){3}\] "
    r'(?P<address>\S+) "(?P<method>\S+) (?P<path>\S+)" status: (?P<status>\d+)'
)
MARKS = (LOGGER.encode(), b"placement.requestlog ")
"""One of them is in the line of every entry that is an event."""
MICROSECONDS = re.compile(r"[0-9]{1,18}")
HTTP_FAILED = 400
ODD = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)
"""What an entry raises that has the marks of an event and is none."""


@dataclass(frozen=True)
class Audit:
    """One event, with the identifiers that say whose it is."""

    shown: dict[str, Any]
    identifier: str
    actor: str | None
    """Project, or else domain, or else account, that acted."""
    objects: frozenset[str]
    """What was acted on, where the event names it: accounts, projects, domains."""


def event_of(entry: Mapping[str, Any], units: Set[str]) -> Audit | None:
    """The audit event in an entry of the store; None when it is none, whatever else it is.

    Args:
        units: of the APIs. journald itself sets the unit of an entry: nobody else can tell events.
    """
    message, unit = entry.get("MESSAGE"), entry.get("_SYSTEMD_UNIT")
    if not isinstance(message, str) or not isinstance(unit, str) or unit not in units:
        return None
    try:
        if found := NOTIFIED.match(message):
            return _cadf(entry, message[found.end() :])
        if found := PLACEMENT.match(message):
            return _placement(entry, found)
    except ODD:
        return None
    return None


def select(
    entries: Iterable[Mapping[str, Any]], units: Set[str], ids: Set[str], begin: float, end: float
) -> Iterator[dict[str, Any]]:
    """The events of a tenant in a span of time, each once.

    Args:
        units: as for ``event_of``.
        ids: identifiers of its domain, projects and accounts.
        begin: seconds since 1970, included.
        end: seconds since 1970, not included.
    """
    for _name, shown in given(entries, units, {"": ids}, begin, end):
        yield shown


def given(
    entries: Iterable[Mapping[str, Any]],
    units: Set[str],
    tenants: Mapping[str, Set[str]],
    begin: float,
    end: float,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of several tenants, each with the name of who gets it; otherwise as ``select``."""
    told: set[tuple[str, str]] = set()
    for entry in entries:
        if not begin <= _seconds(entry) < end:
            continue
        event = event_of(entry, units)
        if event is None:
            continue
        for name, ids in tenants.items():
            if (name, event.identifier) not in told and belongs(event, ids):
                told.add((name, event.identifier))
                yield name, event.shown


def counted(
    entries: Iterable[Mapping[str, Any]],
    units: Set[str],
    tenants: Mapping[str, Set[str]],
    begin: float,
    end: float,
) -> dict[str, dict[str, Any]]:
    """How many events each tenant gets, and which other tenants any of these names by an identifier."""
    owners = [(one, name) for name, ids in tenants.items() for one in ids]
    counts = dict.fromkeys(tenants, 0)
    others: dict[str, set[str]] = {name: set() for name in tenants}
    for name, shown in given(entries, units, tenants, begin, end):
        line = json.dumps(shown, ensure_ascii=False)
        counts[name] += 1
        others[name] |= {owner for one, owner in owners if one in line} - {name}
    return {name: {"events": counts[name], "others": sorted(others[name])} for name in tenants}


def belongs(event: Audit, ids: Set[str]) -> bool:
    """Whether an event is the tenant's: it acted, or the platform acted on what is its own."""
    if event.actor in ids:
        return True
    return bool(event.objects & ids)


def _cadf(entry: Mapping[str, Any], text: str) -> Audit | None:
    notification = json.loads(text)
    payload = notification["payload"]
    kind = notification["event_type"]
    # Keystone tells each change twice: without who did it, for programs, and with.
    if kind == REQUEST or not isinstance(payload, dict) or not payload.get("initiator"):
        return None
    initiator, target = payload.get("initiator") or {}, payload.get("target") or {}
    host = initiator.get("host") or {}
    user = _known(initiator.get("user_id")) or _known(initiator.get("id"))
    project, domain = _known(initiator.get("project_id")), _known(initiator.get("domain_id"))
    named = {payload.get("resource_info"), target.get("id"), *_assigned(payload)} - UNKNOWN
    shown = {
        "time": _time(entry),
        "service": str(entry["_SYSTEMD_UNIT"]).removesuffix(".service"),
        "node": entry.get("node"),
        "who": {"user": user, "name": _known(initiator.get("name") or initiator.get("username")),
                "project": project, "domain": domain},
        "from": {"address": host.get("address"), "agent": host.get("agent")},
        "what": {"event": kind, "action": payload.get("action"), "type": target.get("typeURI"),
                 "object": payload.get("resource_info") or target.get("id"),
                 "path": payload.get("requestPath")},
        "outcome": payload.get("outcome"),
        "reason": (payload.get("reason") or {}).get("reasonCode"),
        "request": initiator.get("request_id"),
        "id": payload.get("id") or notification.get("message_id"),
    }  # fmt: skip
    return Audit(shown, str(shown["id"]), project or domain or user, frozenset(map(str, named)))


def _assigned(payload: Mapping[str, Any]) -> set[Any]:
    """Whom a role was given to and on what, as Keystone names it."""
    return {payload.get(name) for name in ("project", "domain", "user", "group")}


def _placement(entry: Mapping[str, Any], found: re.Match[str]) -> Audit:
    part = {name: _known(value) for name, value in found.groupdict().items()}
    status = int(found["status"])
    shown = {
        "time": _time(entry),
        "service": "placement",
        "node": entry.get("node"),
        "who": {"user": part["user"], "name": None, "project": part["project"], "domain": part["domain"]},
        "from": {"address": part["address"], "agent": None},
        "what": {
            "event": "request",
            "action": part["method"],
            "type": None,
            "object": None,
            "path": part["path"],
        },
        "outcome": "failure" if status >= HTTP_FAILED else "success",
        "reason": str(status),
        "request": part["request"],
        "id": entry.get("__CURSOR"),
    }
    return Audit(shown, str(shown["id"]), part["project"] or part["domain"] or part["user"], frozenset())


def _known(value: Any) -> str | None:
    return None if value in UNKNOWN else str(value)


def _time(entry: Mapping[str, Any]) -> str:
    return datetime.fromtimestamp(_seconds(entry), UTC).isoformat(timespec="milliseconds")


def _seconds(entry: Mapping[str, Any]) -> float:
    """When journald took the entry, in seconds since 1970; 0 when it does not say."""
    stamp = entry.get("__REALTIME_TIMESTAMP")
    return int(stamp) / 1e6 if isinstance(stamp, str) and MICROSECONDS.fullmatch(stamp) else 0.0
