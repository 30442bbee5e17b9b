"""Rules on services that run, both ways, and what the agent makes of what services say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from socle.audit.collect import agent_states
from socle.audit.rules import RULES, Others
from socle.audit.rules.registry import Unreadable

FILE = "/etc/haproxy/haproxy.cfg"
SSL = "ssl crt /etc/socle/tls/proxy.pem ca-file /ca.pem verify required"


def others(**facts: Any) -> Others:
    return Others("ctl1", datetime(2026, 1, 1, tzinfo=UTC), facts)


def found(rule: str, value: Any, expect: Any = None, beside: Others | None = None) -> list[str]:
    return [one.place for one in RULES[rule](value, expect or {}, beside or others())]


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"listen a.bind": f"10.0.0.1:1 {SSL}", "listen a.server": "here 127.0.0.1:1"}, []),
        ({"listen a.bind": [f"10.0.0.1:1 {SSL}", "10.0.0.2:1"]}, ["listen a.bind"]),
        ({"frontend a.bind": "10.0.0.1:1"}, ["frontend a.bind"]),
        ({"listen a.server": "b 10.0.0.1:1 ssl crt /x"}, ["listen a.server"]),
        ({"listen sql.bind": "10.0.0.1:1"}, []),
        ({"listen sql from base.bind": "10.0.0.1:1"}, []),
        ({"frontend a.bind": "10.0.0.1:1,127.0.0.1:1"}, ["frontend a.bind"]),
        ({"frontend a.bind": "127.0.0.1:1,127.0.0.2:1"}, []),
        ({"frontend a.bind": "10.0.0.1:1 # no ssl here"}, ["frontend a.bind"]),
        ({"frontend a from base.bind": "10.0.0.1:1"}, ["frontend a from base.bind"]),
        ({"backend a.server-template": "s 3 10.0.0.1:1"}, ["backend a.server-template"]),
        ({"backend a.server": "s 10.0.0.1:1 check addr 127.0.0.1:2"}, ["backend a.server"]),
        ({"backend a.server": f"s 10.0.0.1:1 {SSL} verify none"}, ["backend a.server"]),
        ({"backend a.dispatch": "10.0.0.1:1"}, ["backend a.dispatch"]),
    ],
)
def test_every_hop_of_the_proxy_is_judged(options: dict[str, Any], places: list[str]) -> None:
    assert found("proxy_tls", {FILE: {"options": options}}, {"file": FILE, "except": ["sql"]}) == places


def test_a_proxy_without_hops_proves_nothing() -> None:
    with pytest.raises(Unreadable):
        found("proxy_tls", {FILE: {"options": {"global.user": "haproxy"}}}, {"file": FILE})


def test_an_account_reaches_its_own_databases() -> None:
    account = {"name": "nova", "host": "%", "databases": ["nova"], "own": ["nova", "nova_api"]}
    assert not found("own_databases", {"accounts": [account]})
    assert found("own_databases", {"accounts": [{**account, "databases": ["keystone"]}]}) == ["nova"]
    with pytest.raises(Unreadable):
        found("own_databases", {"accounts": [{**account, "host": "localhost"}]})


def test_servers_are_judged_disk_by_disk_and_their_absence_proves_nothing() -> None:
    guest = {"name": "a", "disks": [{"encryption": "luks"}, {"encryption": None}]}
    expect = {"disks": {"encryption": "luks"}}
    assert found("guests", {"guests": [guest]}, expect) == ["a disque 2 encryption"]
    beside = Others("c", datetime(2026, 1, 1, tzinfo=UTC), {"libvirt.state": {"d": {"guests": [guest]}}})
    assert not found("guests", {"guests": []}, expect, beside)
    with pytest.raises(Unreadable):
        found("guests", {"guests": []}, expect)


def says(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> None:
    def output(*command: str, **_options: Any) -> str:
        return next(answer for part, answer in answers.items() if part in " ".join(command))

    monkeypatch.setattr(agent_states, "output", output)


def test_what_rabbitmq_prints_behind_its_answer_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {name: [] for name in ("users", "permissions", "listeners", "members", "running")}
    says(monkeypatch, {"rabbitmqctl": json.dumps({**said, "plugins": ["b", "a"]}) + "ok\n"})
    assert agent_states.rabbitmq({})["plugins"] == ["a", "b"]


def test_databases_are_told_of_the_account_that_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    account = {"name": "nova", "host": "%", "privileges": 0, "tls": 1, "locked": 0, "socket_only": 0}
    says(
        monkeypatch,
        {
            "mysql.global_priv": json.dumps(account),
            "mysql.db": json.dumps({"name": "nova", "host": "%", "database": "nova"})
            + "\n"
            + json.dumps({"name": "glance", "host": "%", "database": "glance"}),
            "VARIABLES": "have_ssl\tYES",
            "STATUS": "",
        },
    )
    state = agent_states.mariadb({})
    assert state["accounts"] == [
        {**account, "tls": True, "locked": False, "socket_only": False, "databases": ["nova"]}
    ]
    assert state["variables"] == {"have_ssl": "YES"}


def test_a_guest_is_told_with_its_disks_and_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    described = """<domain><name>a</name><devices>
    <disk type='network' device='disk'><source protocol='rbd' name='v'/>
    <encryption format='luks'><secret type='passphrase' uuid='0-0'/></encryption></disk>
    <disk type='file' device='disk'><source file='/x'/></disk><disk device='cdrom'/>
    <graphics type='vnc' listen='10.0.0.1' passwd='hunter2'/><filesystem/></devices></domain>"""
    says(monkeypatch, {"is-active": "inactive\nactive\n", "list": "a\n", "dumpxml": described})
    monkeypatch.setattr(agent_states, "LIBVIRT_SOCKETS", ("tcp", "tls"))
    state = agent_states.libvirt({})
    guest = state["guests"][0]
    assert state["sockets"] == ["tls"]
    assert [disk["encryption"] for disk in guest["disks"]] == ["luks", None]
    assert (guest["shared_folders"], guest["screens"][0]["password"]) == (1, True)
    assert "hunter2" not in json.dumps(state)


def test_ports_that_may_forge_addresses_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        ["a", "", "fa:16 10.0.0.1", "fa:16 10.0.0.1"],
        ["b", "", ["set", []], ["set", ["fa:16", "unknown"]]],
        ["c", "router", ["set", []], "router"],
    ]
    status = "Status: cluster member\nLeader: self\nServers:\n    2f23 (2f23 at ssl:10.0.0.1:1) (self)\n"
    says(
        monkeypatch,
        {
            "list-remotes": "pssl:1:10.0.0.1\n",
            "cluster/status": status,
            "ovn-nbctl": json.dumps({"data": rows}),
        },
    )
    state = agent_states.ovn({})
    assert state["ports"] == {"guests": 2, "unprotected": ["b"], "unknown_addresses": ["b"]}
    assert state["nb"] == {
        "remotes": ["pssl:1:10.0.0.1"],
        "status": "cluster member",
        "leader": True,
        "members": 1,
        "peers": ["ssl"],
    }
