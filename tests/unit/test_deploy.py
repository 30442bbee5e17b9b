"""Phases, playbooks and checks of a deployment, without a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from socle import vault
from socle.deploy import checks, deployment
from socle.deploy.deployment import PLAYBOOKS, Deployment
from socle.deploy.events import Diff, Outcome
from socle.deploy.nodes import NodeFacts
from socle.deploy.playbook import PlaybookError, Playbooks, unreachable
from socle.deploy.processes import lives, started
from socle.deploy.progress import duration
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import Site, load
from socle.vault import snapshots
from socle.vault.place import Place
from tests.unit.test_deploy_phases import Quiet

FAKE = Path(__file__).with_name("fake_ansible.py")


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path / "state"))
    return tmp_path / "state" / "lab"


EVENTS: list[dict[str, Any]] = [
    {"event": "playbook", "name": "base"},
    {"event": "task", "role": "base", "task": "The node is configured"},
    {
        "event": "result",
        "status": "changed",
        "host": "ctl1",
        "role": "base",
        "task": "The node is configured",
        "executed": True,
        "what": ["/etc/hosts"],
        "diff": [{"path": "/etc/hosts", "before": "a\n", "after": "a\nb\n"}],
    },
    {"event": "result", "status": "ok", "host": "sto1", "role": "base", "task": "x", "executed": True},
    {"event": "result", "status": "ok", "host": "sto1", "role": "base", "task": "y", "executed": False},
    {"event": "stats", "hosts": {"ctl1": {"failures": 0, "unreachable": 0}}},
]


def given(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"time": float(index), **event} for index, event in enumerate(events)]


def test_events_are_summed() -> None:
    outcome = Outcome()
    for event in given(EVENTS)[1:]:
        outcome.take(event)
    assert outcome.executions == 2
    assert dict(outcome.hosts) == {"ctl1": 1, "sto1": 1}
    assert outcome.tasks == {"base: The node is configured": 4.0}
    (change,) = outcome.changes
    assert change.what == ("/etc/hosts",)
    assert change.diffs[0].counts() == (1, 0)
    assert not outcome.failed


def test_a_difference_reads_as_diff_says_it() -> None:
    assert Diff("/etc/a", "one\ntwo\n", "one\nthree\n").lines()[1:] == [" one", "-two", "+three"]


class Follower:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, playbook: str) -> None:
        self.told.append(f"begin {playbook}")

    def tell(self, text: str) -> None:
        self.told.append(text)

    def end(self, outcome: Outcome) -> None:
        self.told.append(f"end {len(outcome.changes)}")


@pytest.fixture
def ansible(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Playbooks]:
    """Playbooks whose Ansible writes the given events and ends with the given status."""

    def make(events: list[dict[str, Any]], **settings: str) -> Playbooks:
        source = tmp_path / "events"
        source.write_text("".join(json.dumps(event) + "\n" for event in given(events)))
        monkeypatch.setenv("FAKE_EVENTS", str(source))
        monkeypatch.setenv("FAKE_GIVEN", str(tmp_path / "given"))
        for name, value in settings.items():
            monkeypatch.setenv(f"FAKE_{name.upper()}", value)
        token = {"BAO_TOKEN": "very-secret"}
        return Playbooks(site, ("base",), tmp_path, token, ("--check",), program=FAKE)

    return make


def test_a_playbook_is_followed_to_its_end(ansible: Callable[..., Playbooks], tmp_path: Path) -> None:
    follower = Follower()
    outcomes = ansible(EVENTS, output="ok=12").run(follower)
    assert follower.told == ["begin base", "base: The node is configured", "end 1"]
    assert outcomes["base"].executions == 2
    assert "ok=12" in (tmp_path / "base.log").read_text()
    found = json.loads((tmp_path / "given").read_text())
    assert found["arguments"][2].endswith("playbooks/base.yml")
    assert found["arguments"][-1] == "--check"
    assert "very-secret" not in str(found["arguments"])
    assert found["environment"]["BAO_TOKEN"] == "very-secret"


def result(status: str, host: str, reason: str) -> dict[str, Any]:
    task = {"role": "keystone", "task": "Keystone runs", "executed": True}
    return {"event": "result", "status": status, "host": host, "reason": reason, **task}


def test_a_failed_task_is_one_block_with_the_place_of_the_log(
    ansible: Callable[..., Playbooks], tmp_path: Path
) -> None:
    events = [EVENTS[0], result("failed", "ctl1", "unit keystone.service failed\nno such file")]
    with pytest.raises(PlaybookError) as caught:
        ansible(events, status="2").run(Follower())
    assert caught.value.exit_code == ExitCode.FAILED
    assert str(caught.value).splitlines() == [
        "ctl1: keystone: Keystone runs",
        "  unit keystone.service failed",
        "  no such file",
        f"The whole log is {tmp_path / 'base.log'}",
    ]


def test_a_node_that_does_not_answer_is_one_line_with_its_address(ansible: Callable[..., Playbooks]) -> None:
    events = [EVENTS[0], result("unreachable", "cmp2", "Connection timed out")]
    with pytest.raises(PlaybookError) as caught:
        ansible(events, status="4").run(Follower())
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    line = str(caught.value).splitlines()[0]
    assert line.startswith("cmp2: does not answer by SSH on 10.77.0.22 (Connection timed out); check that")


def test_an_ansible_that_ends_without_a_task_says_its_last_words(ansible: Callable[..., Playbooks]) -> None:
    with pytest.raises(PlaybookError) as caught:
        ansible([], status="1", output="ERROR! the site is not valid").run(Follower())
    assert "ended with status 1: ERROR! the site is not valid" in str(caught.value)


def test_a_playbook_can_be_stopped(ansible: Callable[..., Playbooks]) -> None:
    playbooks = ansible(EVENTS, seconds="60")
    threading.Timer(0.5, playbooks.stopping.set).start()
    begun = time.monotonic()
    with pytest.raises(SocleError, match="interrupted"):
        playbooks.run(Follower())
    assert time.monotonic() - begun < 10


def test_ansible_does_not_outlive_a_killed_run(ansible: Callable[..., Playbooks], tmp_path: Path) -> None:
    ansible(EVENTS, seconds="60")
    script = f"""
        from pathlib import Path
        from socle.deploy.playbook import Playbooks
        from socle.site import load
        from tests.unit.test_deploy import Follower
        site = load(Path({str(project_root() / "inventories/lab")!r}))
        Playbooks(site, ("base",), Path({str(tmp_path)!r}), program=Path({str(FAKE)!r})).run(Follower())
    """
    path = f"{project_root()}:{project_root() / 'src'}"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], env={**os.environ, "PYTHONPATH": path}
    ) as run:
        child = waited_for(lambda: children(run.pid))[0]
        born = started(child)
        waited_for((tmp_path / "given").exists)
        run.kill()
    assert waited_for(lambda: not lives(child, born))


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def waited_for(question: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return answer


def names(site: Site, **wanted: Any) -> list[tuple[str, tuple[str, ...]]]:
    return [(phase.name, phase.after) for phase in Deployment(site, Quiet(), **wanted)._phases()]


def test_a_whole_deployment_waits_for_what_it_needs(site: Site) -> None:
    after = dict(names(site))
    assert set(PLAYBOOKS) - {"vault", "logs"} < set(after)
    assert after["keys"] == ("base",)
    assert after["certificates"] == ("keys",)
    assert after["storage"] == ("keys",)
    assert after["control"] == ("certificates",)
    assert after["networks"] == ("control",)
    assert after["volumes"] == ("storage", "control")
    assert after["compute"] == ("storage", "networks")
    assert after["platform"] == ("networks", "volumes")
    assert after["tenants"] == ("compute", "platform")
    assert after["copy of openbao"] == ("pages",)


@pytest.mark.parametrize(
    ("only", "phases"),
    [
        ("nova", ["check", "keys", "role", "copy of openbao"]),
        ("openbao", ["check", "keys", "role", "copy of openbao"]),
        ("sto1", ["check", "base", "keys", "certificates", "copy of openbao"]),
        ("210000014", ["check", "keys", "tenants", "pages", "copy of openbao"]),
    ],
)
def test_a_part_runs_only_what_it_needs(site: Site, only: str, phases: list[str]) -> None:
    assert [name for name, _after in names(site, only=only)] == phases


@pytest.mark.parametrize("changed", [False, True])
def test_secrets_that_a_run_made_owe_a_copy_of_openbao(
    site: Site, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    owed: list[Place] = []
    monkeypatch.setattr(deployment, "write_settings", lambda _site: None)
    for name, made in {"prepare": changed, "ssh_certificate": True, "ansible_environment": {}}.items():
        monkeypatch.setattr(vault, name, lambda *_given, made=made: made)
    monkeypatch.setattr(snapshots, "owe", owed.append)
    reporter: Any = SimpleNamespace(tell=None, did=lambda _number: None)
    Deployment(site, Quiet())._prepare_keys(reporter)
    assert len(owed) == changed


def test_openbao_itself_is_deployed_before_its_keys(site: Site) -> None:
    after = dict(names(site, only="openbao"))
    assert after["role"] == ("check",)
    assert after["keys"] == ("role",)


@pytest.mark.parametrize("wanted", [{"only": "nobody"}, {"sirens": ("000",)}])
def test_an_unknown_part_is_wrong_usage(site: Site, wanted: dict[str, Any]) -> None:
    with pytest.raises(SocleError) as caught:
        names(site, **wanted)
    assert caught.value.exit_code == ExitCode.USAGE


Usage = namedtuple("Usage", ["total", "used", "free"])


def test_a_full_disk_here_is_one_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _path: Usage(10**12, 10**12, 3 * 2**20))
    with pytest.raises(SocleError) as caught:
        Deployment(site, Quiet()).go()
    assert caught.value.exit_code == ExitCode.PREREQUISITE
    assert all(
        "the disk is full: 3 MiB free; expected at least" in line for line in str(caught.value).splitlines()
    )


def facts(**different: Any) -> NodeFacts:
    usual: dict[str, Any] = {
        "debian": "13.7",
        "uptime_seconds": 60,
        "load": 0.1,
        "cores": 2,
        "memory_total": 4096,
        "memory_available": 2048,
        "disk_total": 10000,
        "disk_free": 5000,
        "units": (),
        "certificates": (),
    }
    return NodeFacts(**{**usual, **different})


def test_everything_that_is_wrong_with_nodes_is_said_at_once(
    site: Site, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.mkdir(parents=True)
    (state / "ssh_config").touch()
    answers = {
        "ctl1": facts(disk_free=12),
        "cmp1": facts(debian="12.5"),
        "cmp2": unreachable(site, "cmp2", "No route to host"),
        "sto1": facts(),
    }
    monkeypatch.setattr(checks, "ask_all", lambda _site, _hosts: answers)
    with pytest.raises(SocleError) as caught:
        checks.check_nodes(site, list(site.hosts.values()))
    lines = str(caught.value).splitlines()
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert [line.split(":")[0] for line in lines] == ["cmp2", "ctl1", "cmp1"]
    assert "12 MiB free on /; expected at least 1024 MiB" in lines[1]
    assert "runs Debian 12.5; expected Debian 13" in lines[2]


def test_a_lab_that_was_never_started_says_what_to_run(site: Site) -> None:
    with pytest.raises(SocleError, match="run `socle --site lab lab up`") as caught:
        checks.check_nodes(site, list(site.hosts.values()))
    assert caught.value.exit_code == ExitCode.UNREACHABLE


def test_a_name_that_leads_elsewhere_says_what_to_write(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, *_rest: Any, **_more: Any) -> list[Any]:
        address = "192.0.2.1" if name == site.endpoints.public.name else str(site.endpoints.internal.address)
        return [(None, None, None, "", (address, 0))]

    monkeypatch.setattr(checks.socket, "getaddrinfo", resolve)
    with pytest.raises(SocleError) as caught:
        checks.check_names(site)
    shared = site.endpoints.public
    assert str(caught.value) == (
        f"{shared.name}: leads to 192.0.2.1; expected {shared.address}; "
        f"write `{shared.address} {shared.name}` in /etc/hosts or the DNS"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (187.4, "3 min 07 s")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
