"""Probes on the lab: what they tell is as it must be, and a killed run is cleaned up by the next."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from socle.audit.probe.canaries import PREFIX
from socle.audit.probe.journal import FOLDER
from socle.cli.auditing import AuditExit
from socle.paths import state_dir
from tests.lab.deployed import ROOT, SOCLE, Lab
from tests.waiting import eventually

pytestmark = pytest.mark.lab

QUICK = (
    "keystone-lockout",
    "keystone-token",
    "openbao-token",
    "openbao-login",
    "key-erase",
    "log-marker",
    "expired-certificate",
)


def canaries(cloud: Any) -> list[str]:
    """Canary tenants that Keystone knows."""
    return [domain.name for domain in cloud.identity.domains() if domain.name.startswith(PREFIX)]


def left(lab: Lab) -> list[list[str]]:
    """What the journal of the lab's probes says is to be removed."""
    path = state_dir(lab.site.name) / FOLDER / "journal.json"
    try:
        made: list[list[str]] = json.loads(path.read_text("utf-8"))["made"]
    except FileNotFoundError:
        return []
    return made


def test_a_killed_run_is_cleaned_up_by_the_next_and_all_probes_hold(lab: Lab, cloud: Any) -> None:
    words = [*SOCLE, "audit", "probe", "keystone-lockout", "openbao-login", "key-erase"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        announced = eventually(lambda: left(lab), lambda made: len(made) > 2, seconds=60, pause=0.1)
        there = eventually(lambda: canaries(cloud), seconds=30, pause=0.1)
        assert run.poll() is None, "it ended before it could be killed"
        run.send_signal(signal.SIGKILL)
    names = {name for kind, name in announced if kind == "tenant"}
    assert set(there) <= names
    assert canaries(cloud), "a killed run removes nothing by itself"
    done = lab.socle("--json", "audit", "probe", *QUICK, check=False)
    assert done.stdout, (done.returncode, done.stderr)
    said = json.loads(done.stdout)
    assert {one["control"]: one["status"] for one in said["audit"]["judgements"]} == dict.fromkeys(
        ("probe-keystone-lockout", "probe-keystone-token", "probe-openbao-token", "probe-second-factor",
         "probe-openbao-lockout", "probe-key-erase", "probe-log-marker",
         "probe-expired-certificate"), "conforme"
    ), said["facts"]["facts"]  # fmt: skip
    assert done.returncode == AuditExit.CONFORME
    assert canaries(cloud) == []
    assert left(lab) == []
    assert "nothing" in lab.socle("audit", "probe", "--clean").stdout
