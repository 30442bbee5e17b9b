"""API audit events: where they are written, what is read of them, and whose they are."""

from __future__ import annotations

import configparser
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest

from socle import catalogue
from socle.logs import node
from socle.logs.events import event_of, select
from socle.logs.store import NodeLog
from socle.paths import project_root
from tests.unit.test_filters import load

PREFIX = "2026-03-01 13:27:26.997 9909 INFO oslo.messaging.notification."
SECONDS = 1772371646.0
UNITS = frozenset(
    load("catalogue").api_units(catalogue.load().model_dump(mode="json", by_alias=True)["components"])
)
"""As the settings of the store have them."""
PASTE = {
    "nova": "etc/nova/api-paste.ini",
    "cinder": "etc/cinder/api-paste.ini",
    "neutron": "etc/neutron/api-paste.ini",
    "glance": "etc/glance/glance-api-paste.ini",
    "barbican": "etc/barbican/barbican-api-paste.ini",
}


def logged(kind: str, payload: dict[str, Any], **others: str) -> dict[str, str]:
    """An entry as oslo.log and the journal make it of a notification."""
    sent = {
        "message_id": "m",
        "publisher_id": "uwsgi",
        "event_type": kind,
        "priority": "INFO",
        "payload": payload,
    }
    message = f"{PREFIX}{kind} [None req-1 - - - - - -] {json.dumps(sent)}"
    stamp = f"{SECONDS * 1e6:.0f}"
    return {"__REALTIME_TIMESTAMP": stamp, "_SYSTEMD_UNIT": "nova-api.service", "MESSAGE": message} | others


def called(identifier: str, project: str, user: str = "u1") -> dict[str, Any]:
    """What keystonemiddleware 10.9 says of a call."""
    return {
        "id": identifier,
        "action": "create",
        "outcome": "success",
        "initiator": {
            "id": user,
            "name": "alice",
            "credential": {"token": "***", "identity_status": "Confirmed"},
            "host": {"address": "10.77.1.99", "agent": "openstacksdk"},
            "project_id": project,
        },
        "target": {"id": "nova", "typeURI": "service/compute/servers", "name": "nova"},
        "requestPath": "/v2.1/servers",
        "reason": {"reasonType": "HTTP", "reasonCode": "202"},
    }


def changed(identifier: str, object_: str, actor: str = "admin-project") -> dict[str, Any]:
    """What Keystone 27 says of a change."""
    return {
        "id": identifier,
        "action": "created.user",
        "outcome": "success",
        "initiator": {"id": "c1", "user_id": "admin", "username": "admin", "project_id": actor},
        "target": {"id": object_, "typeURI": "data/security/account/user"},
        "resource_info": object_,
    }


def selected(*entries: dict[str, str], ids: frozenset[str] = frozenset({"p1", "d1", "u1"})) -> list[str]:
    return [event["id"] for event in select(entries, UNITS, ids, SECONDS, SECONDS + 1)]


def test_who_what_when_and_from_where() -> None:
    event = event_of(logged("audit.http.response", called("e1", "p1"), node="ctl1"), UNITS)
    assert event is not None
    assert event.shown == {
        "time": "2026-03-01T13:27:26.000+00:00",
        "service": "nova-api",
        "node": "ctl1",
        "who": {"user": "u1", "name": "alice", "project": "p1", "domain": None},
        "from": {"address": "10.77.1.99", "agent": "openstacksdk"},
        "what": {
            "event": "audit.http.response",
            "action": "create",
            "type": "service/compute/servers",
            "object": "nova",
            "path": "/v2.1/servers",
        },
        "outcome": "success",
        "reason": "202",
        "request": None,
        "id": "e1",
    }


def test_a_tenant_gets_its_own_events_and_nothing_of_others() -> None:
    own, other = called("own", "p1"), called("other", "p2", user="u2")
    platform = changed("platform", "someone-else")
    created = changed("created", "u1")
    entries = [
        logged("audit.http.response", own),
        logged("audit.http.response", other),
        logged("identity.user.created", platform),
        logged("identity.user.created", created),
    ]
    assert selected(*entries) == ["own", "created"]


def test_what_an_account_does_in_a_project_of_another_tenant_is_the_other_s() -> None:
    assert selected(logged("audit.http.response", called("elsewhere", "p2", user="u1"))) == []


def test_a_login_without_a_project_is_its_account_s() -> None:
    login = {"id": "login", "action": "authenticate", "initiator": {"user_id": "u1"}, "outcome": "failure"}
    assert selected(logged("identity.authenticate", login)) == ["login"]


def test_halves_and_repetitions_are_told_once() -> None:
    first = logged("audit.http.request", called("e1", "p1"))
    second = logged("audit.http.response", called("e1", "p1"))
    bare = logged("identity.user.created", {"resource_info": "u1"})
    assert selected(first, second, second, bare) == ["e1"]


def test_only_the_span_that_was_asked_for() -> None:
    late = logged(
        "audit.http.response", called("late", "p1"), __REALTIME_TIMESTAMP=f"{(SECONDS + 1) * 1e6:.0f}"
    )
    early = logged(
        "audit.http.response", called("early", "p1"), __REALTIME_TIMESTAMP=f"{(SECONDS - 1) * 1e6:.0f}"
    )
    assert selected(early, late) == []


def test_placement_tells_the_same_in_its_own_way() -> None:
    message = (
        "2026-03-01 13:27:26.997 12 INFO placement.requestlog [None req-7 u1 p1 - - default default] "
        '10.77.0.11 "PUT /allocations/x" status: 409 len: 12 microversion: 1.36'
    )
    told = {"__REALTIME_TIMESTAMP": "0", "__CURSOR": "c", "_SYSTEMD_UNIT": "placement-api.service"}
    event = event_of({**told, "MESSAGE": message}, UNITS)
    assert event is not None
    assert (event.actor, event.shown["outcome"], event.shown["from"]["address"]) == (
        "p1",
        "failure",
        "10.77.0.11",
    )
    assert event.shown["what"]["path"] == "/allocations/x"


@pytest.mark.parametrize("message", ["nothing", PREFIX + "x [-] {broken", PREFIX + "x", [1, 2]])
def test_what_is_no_event_is_none(message: object) -> None:
    assert event_of({"_SYSTEMD_UNIT": "nova-api.service", "MESSAGE": message}, UNITS) is None


ODD: dict[str, dict[str, Any]] = {
    "a target that is text": {"payload": {"initiator": {"id": "u"}, "target": "x"}},
    "an initiator that is text": {"payload": {"initiator": "u"}},
    "an object that is a list": {"payload": {"initiator": {"id": "u"}, "resource_info": []}},
    "an account that is a list": {"payload": {"initiator": {"user_id": [1]}}},
    "a host that is text": {"payload": {"initiator": {"host": "h"}}},
    "a payload that is a list": {"payload": []},
    "no payload": {},
}


@pytest.mark.parametrize("name", [*ODD, "brackets without end", "a list"])
def test_an_odd_entry_costs_no_other(name: str) -> None:
    texts = {"brackets without end": '{"a":' + "[" * 100_000, "a list": "[{}]"}
    text = texts.get(name) or json.dumps({"event_type": "y", **ODD[name]})
    odd = logged("x", {}) | {"MESSAGE": f"{PREFIX}x [-] {text}"}
    assert selected(odd, logged("audit.http.response", called("e1", "p1"))) == ["e1"]


@pytest.mark.parametrize("stamp", [["1", "1"], "x", "9" * 5000, [1, 2], None])
def test_an_entry_without_a_readable_time_costs_no_other(stamp: Any) -> None:
    good = logged("audit.http.response", called("e1", "p1"))
    assert selected(good | {"__REALTIME_TIMESTAMP": stamp}, good) == ["e1"]


def test_only_an_api_tells_events() -> None:
    event = logged("audit.http.response", called("forged", "p1"), _COMM="logger", UNIT="nova-api.service")
    for unit in ("session-3.scope", "user@1001.service", "nova-compute.service", ["nova-api.service"], None):
        assert selected(event | {"_SYSTEMD_UNIT": unit}) == []
    assert selected({name: value for name, value in event.items() if name != "_SYSTEMD_UNIT"}) == []


def test_what_a_caller_has_an_api_log_is_no_event() -> None:
    event = logged("audit.http.response", called("forged", "p1"))
    told = "2026-03-01 13:27:26.997 9909 INFO nova.api.openstack.requestlog [req-1] 10.0.0.1 "
    path = f'{told}"GET /v2.1/{event["MESSAGE"]}'
    assert selected(event | {"MESSAGE": path}) == []
    request = 'placement.requestlog [None req-7 u1 p1 - - default default] 10.0.0.1 "PUT /x" status: 200'
    assert selected(event | {"MESSAGE": f"{told}{request}"}) == []


@pytest.mark.parametrize(
    "unit",
    ["keystone", "placement-api", *("glance-api", "nova-api", "neutron-api", "cinder-api", "barbican-api")],
)
def test_every_api_tells_events(unit: str) -> None:
    event = logged("audit.http.response", called("e1", "p1"), _SYSTEMD_UNIT=f"{unit}.service")
    assert selected(event) == ["e1"]


def test_a_line_of_the_store_that_is_damaged_costs_no_other(tmp_path: Path) -> None:
    NodeLog(tmp_path / "ctl1").append([logged("audit.http.response", called("e1", "p1"))])  # type: ignore[list-item]
    (path,) = (tmp_path / "ctl1").glob("*.jsonl")
    path.write_bytes(
        b'oslo.messaging.notification.\xff\n"oslo.messaging.notification."\n' + path.read_bytes()
    )
    asked = {"do": "extract", "ids": ["p1"], "begin": SECONDS, "end": SECONDS + 1}
    assert len(list(node.answer(tmp_path, UNITS, asked))) == 1
    assert len(list(node.answer(tmp_path, UNITS, {"do": "search", "text": "oslo."}))) == 3


def test_the_node_extracts_from_its_store(tmp_path: Path) -> None:
    own, other = logged("audit.http.response", called("own", "p1")), logged("a", called("x", "p2", "u2"))
    NodeLog(tmp_path / "ctl1").append([own, other])  # type: ignore[list-item]
    asked = {"do": "extract", "ids": ["p1"], "begin": SECONDS, "end": SECONDS + 1}
    (line,) = node.answer(tmp_path, UNITS, asked)
    assert json.loads(line)["id"] == "own"
    assert json.loads(line)["node"] == "ctl1"
    assert len(list(node.answer(tmp_path, UNITS, {"do": "search", "text": '\\"p2\\"'}))) == 1
    assert datetime.fromisoformat(json.loads(line)["time"]).timestamp() == SECONDS


def test_the_node_counts_for_several_tenants_what_it_would_give_each(tmp_path: Path) -> None:
    elsewhere = called("elsewhere", "p2", user="u2") | {"resource_info": "p1"}
    entries = [
        logged("audit.http.response", called("one", "p1")),
        logged("audit.http.response", called("one", "p1")),
        logged("audit.http.response", called("two", "p1")),
        logged("audit.http.response", elsewhere),
        logged(
            "audit.http.response", called("late", "p1"), __REALTIME_TIMESTAMP=f"{(SECONDS + 1) * 1e6:.0f}"
        ),
        {"__REALTIME_TIMESTAMP": f"{SECONDS * 1e6:.0f}", "MESSAGE": "p1 and p2 in no event"},
    ]
    NodeLog(tmp_path / "ctl1").append(entries)  # type: ignore[arg-type]
    tenants = {"t-a": ["p1", "u1"], "t-b": ["p2", "u2"], "t-c": ["p3"]}
    span = {"begin": SECONDS, "end": SECONDS + 1}
    (line,) = node.answer(tmp_path, UNITS, {"do": "count", "tenants": tenants, **span})
    told = json.loads(line)
    assert told == {
        "t-a": {"events": 3, "others": ["t-b"]},
        "t-b": {"events": 1, "others": ["t-a"]},
        "t-c": {"events": 0, "others": []},
    }
    for name, ids in tenants.items():
        given = list(node.answer(tmp_path, UNITS, {"do": "extract", "ids": ids, **span}))
        assert len(given) == told[name]["events"], "counted is what the tenant would get"


@pytest.mark.parametrize("service", PASTE)
def test_every_call_is_written_down_behind_the_check_of_its_token(service: str) -> None:
    root = project_root()
    roots = [str(root / "roles" / service / "templates"), str(root / "templates")]
    text = (
        jinja2.Environment(loader=jinja2.FileSystemLoader(roots), autoescape=True)
        .get_template(f"{PASTE[service]}.j2")
        .render()
    )
    paste = configparser.RawConfigParser()
    paste.read_string(text)
    assert paste["filter:audit"]["driver"] == "log"
    known = {section.partition(":")[2] for section in paste.sections()}
    ways = [
        value.split()
        for section in paste.sections()
        for name, value in paste.items(section)
        if name in {"pipeline", "keystone"}
    ]
    checked = [way for way in ways if "authtoken" in way]
    assert checked
    assert {name for way in ways for name in way} <= known
    for way in checked:
        assert way[way.index("authtoken") + 2] == "audit"
