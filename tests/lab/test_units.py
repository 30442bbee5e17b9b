"""The module of systemd units, on a node of the lab, with units that only this test has."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from socle.paths import project_root, state_dir

pytestmark = pytest.mark.lab

NODE = "sto1"
MODULE = project_root() / "plugins/modules/units.py"
GOOD = "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
RELOADED = "[Service]\nExecReload=/bin/true\n"
BAD = "[Service]\nType=notify\nExecStart=/bin/sh -c 'echo the reason; exit 3'\n"
REFUSED = "[Unit]\nConditionPathExists=/nonexistent\n[Service]\nExecStart=/usr/bin/sleep infinity\n"


def on_node(command: str, text: str = "") -> str:
    ssh = ["ssh", "-F", str(state_dir("lab") / "ssh_config"), NODE, f"sudo sh -c '{command}'"]
    return subprocess.run(ssh, input=text, capture_output=True, text=True, check=False, timeout=60).stdout


def units(check_mode: bool = False, **wanted: list[str]) -> dict[str, Any]:
    """Run the module as Ansible does: one call that finds all that it needs in Ansible's own library."""
    command = [
        str(project_root() / ".venv/bin/ansible"),
        "-i",
        "inventories/lab/site.yml",
        NODE,
        "-m",
        "units",
    ]
    more = ["--check"] if check_mode else []
    arguments = json.dumps(wanted)
    done = subprocess.run(
        [*command, *more, "-a", arguments, "--ssh-common-args", f"-F {state_dir('lab') / 'ssh_config'}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=project_root(),
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0"},
    )
    assert "=> {" in done.stdout, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.partition("=> ")[2])
    return {"failed": "FAILED!" in done.stdout, **result}


@pytest.fixture
def probe() -> Iterator[None]:
    """Three units: one that runs, one that fails, one whose condition is never met."""
    on_node("mkdir -p /usr/local/lib/systemd/system")
    for name, text in (("good", GOOD), ("bad", BAD), ("refused", REFUSED)):
        on_node(f"cat > /usr/local/lib/systemd/system/probe-{name}.service", text)
    yield
    on_node(
        "rm -f /etc/systemd/system/probe-good.service;"
        "systemctl disable --now probe-good probe-bad probe-refused;"
        "rm -rf /usr/local/lib/systemd;  systemctl daemon-reload; systemctl reset-failed"
    )


def test_life_of_a_unit(probe: None) -> None:
    planned = units(check_mode=True, started=["probe-good"])
    assert planned["changed"]
    assert on_node("systemctl is-active probe-good").strip() == "inactive"
    assert units(started=["probe-good"])["actions"] == [
        "enable probe-good.service",
        "start probe-good.service",
    ]
    assert not units(started=["probe-good"])["changed"]
    assert on_node("systemctl is-enabled probe-good").strip() == "enabled"

    pid = on_node("systemctl show -P MainPID probe-good")
    on_node("cat > /usr/local/lib/systemd/system/probe-good.service", GOOD.replace("infinity", "1000000"))
    assert units(started=["probe-good"])["actions"] == ["daemon-reload for probe-good.service"]
    assert units(restarted=["probe-good"])["changed"]
    assert on_node("systemctl show -P MainPID probe-good") != pid

    on_node("cat > /usr/local/lib/systemd/system/probe-good.service", GOOD + RELOADED)
    time.sleep(1.1)
    assert units(renewed=["probe-good"])["actions"][-1] == "restart probe-good.service", "its file is newer"
    pid = on_node("systemctl show -P MainPID probe-good")
    assert units(renewed=["probe-good"])["actions"] == ["reload probe-good.service"]
    assert on_node("systemctl show -P MainPID probe-good") == pid

    assert units(stopped=["probe-good", "probe-absent"])["actions"] == [
        "disable probe-good.service",
        "stop probe-good.service",
    ]
    assert units(masked=["probe-good"])["changed"]
    assert not units(masked=["probe-good"])["changed"]


def test_failure_shows_the_journal(probe: None) -> None:
    result = units(started=["probe-bad"])
    assert result["failed"]
    assert "the reason" in result["msg"]


def test_unmet_condition_is_no_success(probe: None) -> None:
    result = units(started=["probe-refused"])
    assert result["failed"]
    assert "Condition" in result["msg"]


def test_absent_unit_is_planned_but_not_started() -> None:
    assert units(check_mode=True, started=["probe-absent"])["changed"]
    result = units(started=["probe-absent"])
    assert result["failed"]
    assert "does not exist" in result["msg"]
