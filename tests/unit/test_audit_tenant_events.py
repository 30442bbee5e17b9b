"""Tenants' events as the audit counts them, in the one session that it opens on each host."""

from __future__ import annotations

import json
import socket
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from socle import vault
from socle.audit import controls, program
from socle.audit.collect import COLLECTORS, collect, declared, session, tenant_events
from socle.audit.collect.agent import Unread
from socle.audit.collect.agent_logs import tenant_events as section
from socle.audit.collect.session import HostAnswer
from socle.audit.model import Fact
from socle.audit.rules import RULES, Others
from socle.errors import SocleError
from socle.logs import asking
from socle.paths import project_root
from socle.site import Site, load

SSH = """#!/bin/sh
for word; do address=$last last=$word; done
echo >> "$SESSIONS/$address"
exec cat "$ANSWER"
"""
"""In the place of ssh: counts the sessions on an address."""


@pytest.fixture(scope="module")
def lab() -> Site:
    return load(project_root() / "inventories/lab")


def red(fact: Fact) -> bool:
    one = controls.named("tenant-events-given")
    return bool(list(RULES[one.rule](fact.value, one.expect, Others("lab", datetime.now(UTC)))))


def told(
    lab: Site, monkeypatch: pytest.MonkeyPatch, counts: dict[str, Any], problem: str | None = None
) -> dict[str, Fact]:
    """The facts when the store answers this of each tenant."""
    answer = HostAnswer({"tenant_events": {"value": counts}}, problem)
    monkeypatch.setattr(tenant_events, "read_hosts", lambda _site: dict.fromkeys(lab.hosts, answer))
    return {fact.subject: fact for fact in tenant_events.COLLECTORS[0].read(lab)}


def test_what_the_store_counts_is_judged_for_each_tenant(lab: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *rest = tenant_events.of_tenants(lab)
    counts: dict[str, Any] = {name: {"events": 2, "others": []} for name in (first, *rest)}
    facts = told(lab, monkeypatch, {**counts, second: {"events": 3, "others": [first]}})
    assert set(facts) == {first, second, *rest}
    assert facts[second].value == {"hours": 24, "events": 3, "others": [first]}
    assert [subject for subject, fact in facts.items() if red(fact)] == [second]


def test_what_the_store_does_not_tell_is_unread(lab: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *rest = tenant_events.of_tenants(lab)
    counts = {name: {"events": len(name) * (name != first), "others": []} for name in (first, *rest)}
    facts = told(lab, monkeypatch, counts)
    assert "aucun événement" in (facts[first].problem or "")
    assert "réponse inattendue" in (facts[second].problem or "")
    assert all(fact.problem is None for name, fact in facts.items() if name in rest)
    away = told(lab, monkeypatch, {}, "session impossible")
    assert {fact.problem for fact in away.values()} == {"session impossible"}


def test_a_store_that_cannot_know_the_tenants_says_why_and_answers_the_rest(
    lab: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_site: Site) -> None:
        raise SocleError("no password", where="OpenBao")

    monkeypatch.setattr(tenant_events, "auditor", fails)
    (store,) = asking.stores(lab)
    asked = tenant_events._asked(lab, store)
    assert "no password" in asked["problem"]
    with pytest.raises(Unread, match="no password"):
        section({"tenant_events": asked})
    monkeypatch.setattr(tenant_events, "auditor", lambda _site: 1 / 0)
    assert "ZeroDivisionError" in tenant_events._asked(lab, store)["problem"]


def test_an_audit_of_the_running_cloud_opens_one_session_on_each_host(
    lab: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "sessions").mkdir()
    (tmp_path / "bin/ssh").write_text(SSH)
    (tmp_path / "bin/ssh").chmod(0o755)
    (tmp_path / "answer").write_text(json.dumps({"program": program.digest(), "sections": {}}))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("SESSIONS", str(tmp_path / "sessions"))
    monkeypatch.setenv("ANSWER", str(tmp_path / "answer"))
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(vault, "audit_key", lambda _place, folder: folder / "key")
    monkeypatch.setattr(declared, "of_hosts", lambda _site: {name: {} for name in lab.hosts})
    monkeypatch.setattr(tenant_events, "auditor", lambda _site: None)
    monkeypatch.setattr(asking, "tenant_ids", lambda _cloud, sirens: {siren: {siren} for siren in sirens})

    def away(*_address: object) -> None:
        raise ConnectionRefusedError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", away)
    elsewhere = [one for one in COLLECTORS if one.name not in {"station", "repository"}]
    facts = collect(lab, "live", elsewhere)
    session.new_pass()
    counted = Counter(
        {path.name: len(path.read_text().splitlines()) for path in (tmp_path / "sessions").iterdir()}
    )
    assert counted == {str(host.address): 1 for host in lab.hosts.values()}
    read = {fact.name for fact in facts.facts if "n’a pas répondu à" in (fact.problem or "")}
    assert {"host.system", "ceph.state", tenant_events.EVENTS} <= read
