"""Alarms of the daily audit: each waits for a person, and what waits too long is seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from socle.audit import alarms, controls
from socle.audit.collect.audits import alarmed
from socle.audit.evaluating import evaluate
from socle.audit.model import Status
from socle.cli.app import run
from socle.paths import project_root, state_dir
from socle.site import Site, load
from socle.site.records import Acknowledgement
from tests.unit.audit_golden import one_pass

NOW = datetime(2026, 9, 3, 12, 0, tzinfo=UTC)
BUNDLE = "00003-20260903T022451Z-live"
CONTROL = "alarms-acknowledged"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    loaded = load(project_root() / "inventories/lab")
    state_dir(loaded.name).mkdir(parents=True, exist_ok=True)
    return loaded


def told(site: Site, hours: float, lines: int = 2, bundle: str | None = BUNDLE) -> str:
    return alarms.remember(site.name, NOW - timedelta(hours=hours), bundle, lines)


def acknowledged(site: Site, name: str, hours: float) -> Site:
    entry = Acknowledgement(at=NOW - timedelta(hours=hours), by="alice", conclusion="Repaired")
    return replace(site, records={alarms.REGISTER: {name: entry}})


def status(site: Site) -> Status:
    result = evaluate(one_pass([alarmed(site, NOW)]), {CONTROL: controls.load()[CONTROL]}, {})
    return result.judgements[0].status


def test_without_a_daily_audit_nothing_is_proved(site: Site) -> None:
    assert "aucun audit quotidien" in (alarmed(site, NOW).problem or "")
    assert status(site) is Status.NOT_EVALUATED


def test_days_that_stopped_prove_nothing(site: Site) -> None:
    told(site, hours=27, lines=0)
    assert "le dernier audit quotidien est du 02/09/2026" in (alarmed(site, NOW).problem or "")
    assert status(site) is Status.NOT_EVALUATED


def test_a_day_without_an_alarm_waits_for_nobody(site: Site) -> None:
    name = told(site, hours=25, lines=0)
    days = alarms.judged(site, NOW)
    assert (days[name]["hours"], alarms.waiting(days)) == (0, [])
    assert status(site) is Status.CONFORME


@pytest.mark.parametrize(
    ("hours", "seen", "found", "expected"),
    [
        (3, None, 3.0, Status.CONFORME),
        (30, None, 30.0, Status.NON_CONFORME),
        (30, 10, 20.0, Status.CONFORME),
        (60, 10, 50.0, Status.NON_CONFORME),
        (30, 31, 30.0, Status.NON_CONFORME),
        (30, -1, 30.0, Status.NON_CONFORME),
    ],
    ids=["young", "forgotten", "in-time", "late", "entry-before-the-alarm", "entry-of-tomorrow"],
)
def test_an_alarm_waits_until_a_person_looked(
    site: Site, hours: float, seen: float | None, found: float, expected: Status
) -> None:
    name = told(site, hours)
    told(site, hours=1, lines=0)
    if seen is not None:
        site = acknowledged(site, name, seen)
    days = alarms.judged(site, NOW)
    assert (days[name]["hours"], name in alarms.waiting(days)) == (found, found == hours)
    assert status(site) is expected


def test_an_audit_that_could_not_be_done_is_an_alarm(site: Site) -> None:
    name = told(site, hours=2, lines=1, bundle=None)
    assert alarms.waiting(alarms.judged(site, NOW)) == [name]


def test_what_is_older_than_a_month_is_not_judged_and_the_oldest_goes(site: Site) -> None:
    gone, old = told(site, hours=24 * 401), told(site, hours=24 * 32)
    new = told(site, hours=1)
    assert alarms.judged(site, NOW).keys() == {new}
    kept: dict[str, Any] = alarms.durable.read_json(state_dir(site.name) / alarms.DAYS)
    assert kept.keys() == {old, new}
    assert gone not in kept


def test_what_is_to_be_written_is_what_the_site_takes(site: Site) -> None:
    line = alarms.to_write("20260903-120000", NOW).splitlines()
    assert [text.strip().partition(":")[0] for text in line] == [
        "20260903-120000",
        *Acknowledgement.model_fields,
    ]


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [(None, 11, "Aucun audit quotidien"), (0, 0, ""), (2, 10, "À écrire dans records/alarms.yml")],
    ids=["no-audit", "good-day", "alarm"],
)
def test_the_command_says_what_waits(
    site: Site, capsys: pytest.CaptureFixture[str], lines: int | None, code: int, said: str
) -> None:
    name = "" if lines is None else alarms.remember(site.name, datetime.now(UTC), BUNDLE, lines)
    assert run(["--site", "lab", "audit", "alarms"]) == code
    told = capsys.readouterr().out
    assert said in told
    assert name in told
