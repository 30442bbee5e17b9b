"""The deployment itself: killed again and again it ends in the same cloud, and once there it changes nothing.

The other tests of this folder judge the cloud that these leave. Under continuous integration, or where no lab
is deployed, it starts from bare nodes, so that the kills fall into real work; elsewhere the lab is kept.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time

import pytest

from socle.paths import state_dir
from tests.lab.deployed import ROOT, SOCLE, Lab

KILLS = 5
LONGEST_SECONDS = 40


@pytest.fixture(scope="module")
def nodes(bare_lab: Lab) -> Lab:
    """Bare nodes where that harms nobody, running ones in any case, and binaries that are built."""
    bare_lab.socle("tools", "build")
    deployed = (state_dir(bare_lab.site.name) / "ca.pem").exists()
    if os.environ.get("CI") or not deployed:
        bare_lab.socle("lab", "reset", "--yes")
    bare_lab.socle("lab", "up")
    return bare_lab


def test_killed_at_five_moments_the_same_command_ends_in_the_cloud(nodes: Lab) -> None:
    seed = int(os.environ.get("SOCLE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    moments = random.Random(seed)  # noqa: S311 - moments, not secrets
    print(f"SOCLE_TEST_SEED={seed}")  # noqa: T201
    for _kill in range(KILLS):
        moment = moments.uniform(3, LONGEST_SECONDS)
        process = subprocess.Popen(
            [*SOCLE, "deploy"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert nodes.deploy()["result"] == "done"
    interrupted = [
        run for run in json.loads(nodes.socle("journal", "--json").stdout) if run["result"] == "interrupted"
    ]
    assert interrupted, "no run was recorded as interrupted: the kills fell into nothing"


def test_a_second_run_changes_nothing(nodes: Lab) -> None:
    facts = nodes.deploy()
    assert {phase["name"]: phase["changed"] for phase in facts["phases"] if phase["changed"]} == {}
    executions = sum(phase["executions"] for phase in facts["phases"])
    assert executions > 0


def test_what_was_changed_by_hand_is_repaired_and_nothing_else(nodes: Lab) -> None:
    nodes.on("ctl1", "chmod 0600 /etc/memcached.conf")
    nodes.on("cmp1", "systemctl stop nova-compute")
    assert nodes.deploy_and_see_changes().keys() == {"control", "compute"}
    assert nodes.on("ctl1", "stat -c %a /etc/memcached.conf").strip() == "644"
    assert nodes.on("cmp1", "systemctl is-active nova-compute").strip() == "active"
