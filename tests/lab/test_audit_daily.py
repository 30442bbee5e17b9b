"""The audit of every day under systemd, as the operator's guide says: silent, loud, silent again."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from socle.audit import bundle, controls, daily, notary, verify
from socle.audit.model import Status
from socle.audit.mutating.broken import Bench, Broken
from socle.audit.mutating.running import JOURNAL
from socle.deploy import lock
from socle.lab.lab import Lab as Nodes
from socle.paths import state_dir
from tests.lab.deployed import Lab
from tests.lab.station import Station
from tests.waiting import eventually

pytestmark = pytest.mark.lab

BROKEN, NODE = "hardening-network-parameters", "cmp1"
SERVICE, TIMER = "socle-audit-lab.service", "socle-audit-lab.timer"
STAMP = f"/var/lib/systemd/timers/stamp-{TIMER}"
AT_ONCE = f"/run/systemd/system/{TIMER}.d"
ALERTS = ("-p", "err", "-t", "socle-audit")
DELAY = timedelta(minutes=11)
"""By how much the timer may be late: its random delay, and its accuracy."""


@pytest.fixture(scope="module")
def station(lab: Lab) -> Iterator[Station]:
    """This machine under systemd; what the site's state notes of daily audits is as before afterwards."""
    noted = state_dir(lab.site.name) / daily.LAST
    before = noted.read_bytes() if noted.exists() else None
    folder = Path(tempfile.mkdtemp(prefix="socle-station-", dir="/dev/shm"))
    made = Station(lab.site.name, folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
        noted.unlink(missing_ok=True)
        if before is not None:
            noted.write_bytes(before)


def chain(lab: Lab) -> list[Path]:
    """The bundles of the lab."""
    return bundle.bundles(notary.chain_of(lab.site))


def test_the_schedule_is_laid_once_and_listed(lab: Lab, station: Station) -> None:
    assert "runs every day at 04:20\n" in station.socle("audit", "schedule")
    assert "already" in station.socle("audit", "schedule")
    (listed,) = [
        one
        for one in json.loads(station.run("systemctl", "list-timers", "--output=json"))
        if one["unit"] == TIMER
    ]
    assert listed["activates"] == SERVICE
    zone = ZoneInfo(lab.site.settings.timezone)
    following = datetime.fromtimestamp(listed["next"] / 1e6, zone)
    hour = following.replace(hour=4, minute=20, second=0, microsecond=0)
    assert hour <= following < hour + DELAY
    assert timedelta() < following - datetime.now(UTC) < timedelta(days=1) + DELAY


def test_a_machine_that_was_off_catches_up_and_the_bundle_is_proved(lab: Lab, station: Station) -> None:
    notary.notary_of(lab.site)  # sets aside the chain of an OpenBao that is there no more
    by_hand = [path for path in chain(lab) if path.name.endswith("-live")]
    if not by_hand:
        lab.socle("audit", "live", check=False)
        by_hand = chain(lab)
    number = len(chain(lab))
    station.run("mkdir", "-p", AT_ONCE)
    station.run("sh", "-c", f"printf '[Timer]\\nRandomizedDelaySec=0\\n' >{AT_ONCE}/now.conf")
    station.run("systemctl", "daemon-reload")
    station.run("touch", "--date=-2 days", STAMP)
    station.run("systemctl", "restart", TIMER)
    eventually(lambda: ended(station), seconds=300, pause=0.5)
    assert station.shown(SERVICE, "Result", "ExecMainCode")["Result"] == "success"
    made = chain(lab)[number:]
    assert len(made) == 1
    trust = verify.Trust(notary.signer_key(lab.site), notary.authority_of(lab.site))
    assert verify.verify(notary.chain_of(lab.site), trust).code == verify.PROVED
    confined_reads_as_much(by_hand[-1], made[0])


def ended(station: Station) -> bool:
    """Whether the service ran, and does not any more."""
    shown = station.shown(SERVICE, "ActiveState", "ExecMainExitTimestampMonotonic")
    return shown["ActiveState"] in {"inactive", "failed"} and shown["ExecMainExitTimestampMonotonic"] != "0"


def confined_reads_as_much(by_hand: Path, made: Path) -> None:
    """What was read by hand is read by the confined service, and its own timer besides."""
    (hand, _audit), (service, audit) = bundle.read(by_hand), bundle.read(made)
    unread = {(fact.name, fact.subject): fact.problem for fact in service.facts if fact.problem}
    read = {(fact.name, fact.subject) for fact in hand.facts if not fact.problem}
    assert {place: why for place, why in unread.items() if place in read} == {}
    status = {judgement.control: judgement.status for judgement in audit.judgements}
    assert status["audit-scheduled"] is Status.CONFORME


def test_what_turned_red_is_told_and_then_its_repair(lab: Lab, station: Station) -> None:
    heard = len(station.journal(*ALERTS))
    before = chain(lab)[-1]
    with broken(lab):
        assert run(station) == {"Result": "success", "ExecMainStatus": "10"}
    red = chain(lab)[-1]
    told = [entry["MESSAGE"] for entry in station.journal(*ALERTS)[heard:]]
    title = controls.named(BROKEN).title_fr
    assert told == [
        f"Depuis {before.name}, dossier {red.name} :",
        f"Devenu non conforme : {BROKEN} — {title} (avant : conforme)",
    ]
    shown = json.loads(station.socle("audit", "changes", "--json", code=10))
    assert [one["control"] for one in shown["changes"] if one["now"] == "non conforme"] == [BROKEN]
    assert NODE in str(shown["changes"])
    alarms = json.loads(station.socle("audit", "alarms", "--json", code=10))
    days = {day["bundle"]: name for name, day in alarms["days"].items()}
    assert alarms["days"][days[red.name]]["lines"] == len(told)
    assert days[red.name] in alarms["waiting"]
    printed = len(station.journal("-u", SERVICE))
    assert run(station) == {"Result": "success", "ExecMainStatus": "0"}
    assert len(station.journal(*ALERTS)) == heard + len(told)
    said = [entry["MESSAGE"] for entry in station.journal("-u", SERVICE)[printed:]]
    place = said.index("Devenu conforme (1) :")
    assert said[place + 1].startswith(f"  {BROKEN} — ")
    lab.socle("audit", "verify")


@contextmanager
def broken(lab: Lab) -> Iterator[None]:
    """One setting is broken on one node, by its control's mutation; after a kill `mutations` repairs it."""
    state = state_dir(lab.site.name)
    container = Nodes.of(lab.site).container(NODE)
    live = controls.named(BROKEN).mutate.live
    assert live
    with lock.hold(state / "lock") as held:
        bench = Bench(state / JOURNAL, lambda _node: container.entered(), lock=held)
        setting = Broken(BROKEN, NODE, live)
        try:
            bench.breaks(setting)
            yield
        finally:
            bench.repair(setting)


def run(station: Station) -> dict[str, str]:
    """How the service ends when it is started now."""
    station.run("systemctl", "start", SERVICE)
    return station.shown(SERVICE, "Result", "ExecMainStatus")


def test_the_schedule_is_taken_away(station: Station) -> None:
    assert "is not there" in station.socle("audit", "schedule", "--stop")
    assert TIMER not in station.run("systemctl", "list-timers", "--all", "--output=json")
    assert station.run("find", "/etc/systemd/system", "-name", "socle-audit-*") == ""
