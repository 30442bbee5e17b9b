"""The audit's controls notice what is broken on the lab, and the lab is whole again afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import pytest

from socle.audit.mutating.running import JOURNAL
from socle.paths import state_dir
from tests.lab.deployed import ROOT, SOCLE, Lab

pytestmark = pytest.mark.lab

SAMPLE, SEED = 8, 3343
ONE = "ssh-sessions"
FILE = "/etc/ssh/sshd_config.d/05-socle-hardening.conf"


def mutations(lab: Lab, *words: str) -> dict[str, Any]:
    done = lab.socle("audit", "mutations", "--json", *words, check=False)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == told["code"], done.stderr
    return told


def test_a_sample_of_broken_settings_is_found_and_repaired(lab: Lab) -> None:
    told = mutations(lab, "--sample", str(SAMPLE), "--seed", str(SEED))
    assert told["code"] == 0, json.dumps(told, ensure_ascii=False, indent=1)
    assert told["counts"]["trouvé"] == SAMPLE
    assert not (state_dir(lab.site.name) / JOURNAL).exists()


def test_after_a_kill_the_next_start_repairs_first(lab: Lab) -> None:
    journal = state_dir(lab.site.name) / JOURNAL
    words = [*SOCLE, "audit", "mutations", "--control", ONE]
    run = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not journal.exists():
        assert run.poll() is None
        time.sleep(0.05)
    node = json.loads(journal.read_text("utf-8"))["broken"][0]["node"]
    until = f"while ! grep -q '^MaxAuthTries 10' {FILE}; do sleep 0.1; done"
    kept = lab.on(node, f"{until}; ls /var/lib/socle-mutations")
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert kept.strip() == ONE
    told = mutations(lab, "--control", ONE)
    assert told["repaired"] == [f"{ONE} : {node}"]
    assert told["counts"]["trouvé"] == 1
    assert "MaxAuthTries 10" not in lab.on(node, f"cat {FILE}")
