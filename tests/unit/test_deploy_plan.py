"""``socle plan``: what it shows, and what it says that it cannot know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from socle.cli import planning
from socle.cli.app import run
from socle.deploy import plan as planned
from socle.deploy.events import Change, Diff, Failure, Outcome
from socle.deploy.nodes import NodeFacts
from socle.deploy.playbook import PlaybookError, unreachable
from socle.errors import SocleError
from socle.paths import project_root, state_dir
from socle.site import Site, load

FACTS = NodeFacts("13.7", 1, 0.1, 2, 4096, 2048, 10000, 5000, (), ())
FILE = Change(
    "ctl1",
    "nova",
    "Nova is configured",
    ("/etc/nova/nova.conf",),
    (Diff("/etc/nova/nova.conf", "a\n", "b\n"),),
)
PACKAGES = Change(
    "cmp1", "base", "Packages are installed", ("nova-compute",), (Diff("packages", "", "nova-compute\n"),)
)
NEW = Change("ctl1", "nova", "Nova has a new file", (), (Diff("/etc/nova/new", "", "line\n" * 3),))


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


@pytest.fixture(autouse=True)
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> dict[str, Any]:
    """All nodes answer; tests take some away."""
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    answers: dict[str, Any] = dict.fromkeys(site.hosts, FACTS)
    monkeypatch.setattr(planned, "ask_all", lambda _site, _hosts: answers)
    return answers


class Ansible:
    """Stands for the playbooks: what would change in each, and which cannot tell."""

    def __init__(self, changes: dict[str, list[Change]], failures: dict[str, Failure] | None = None) -> None:
        self.changes, self.failures = changes, failures or {}
        self.calls: list[tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]] = []

    def __call__(
        self,
        site: Site,
        names: tuple[str, ...],
        folder: Path,
        environment: dict[str, str],
        arguments: Any,
        *_rest: Any,
    ) -> Ansible:
        self.site, self.folder = site, folder
        self.calls.append((names, arguments, dict(environment)))
        return self

    def run(self, _follower: Any) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        for name in self.calls[-1][0]:
            outcomes[name] = Outcome(changes=self.changes.get(name, []))
            if name in self.failures:
                outcomes[name].failures.append(self.failures[name])
                raise PlaybookError(outcomes, "", self.folder, self.site)
        return outcomes


def shown(
    ansible: Ansible, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr(planned, "Playbooks", ansible)
    code = run(["plan", *arguments])
    return code, capsys.readouterr().out


def test_before_the_first_deployment_it_plans_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ansible = Ansible({"control": [FILE, NEW], "compute": [PACKAGES]})
    code, text = shown(ansible, monkeypatch, capsys)
    assert code == 0
    ((names, arguments, environment),) = ansible.calls
    first, rest = names[:5], names[5:]
    assert first == ("base", "vault", "certificates", "hardening", "logs")
    assert rest == ("storage", "control", "networks", "volumes", "compute")
    assert arguments[:2] == ("--check", "--diff")
    assert environment["SOCLE_PLAN_WITHOUT_VAULT"] == "1"
    for told in (
        "ctl1: 2 tasks would change it",
        "/etc/nova/nova.conf  +1 -1",
        "-a",
        "+b",
        "/etc/nova/new (new)  +3 -0",
        "cmp1: 1 task would change it",
        "nova-compute",
        "sto1: stays as it is",
        "new: 1 projects, 1 networks, 1 servers",
        "this machine has never deployed the site",
    ):
        assert told in text
    assert "+line" not in text


def test_a_node_that_is_away_is_said_and_not_asked(
    nodes: dict[str, Any], site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes["sto1"] = unreachable(site, "sto1", "No route to host")
    ansible = Ansible({})
    code, text = shown(ansible, monkeypatch, capsys)
    assert code == 0
    assert "sto1" not in ansible.calls[0][1][-1]
    assert "not evaluated: sto1: does not answer by SSH on 10.77.0.31" in text
    assert "nodes not evaluated: 1" in text


def test_what_cannot_tell_hides_nothing_that_comes_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = Failure("sto1", "ceph", "Ceph is configured", "no fsid", unreachable=False)
    ansible = Ansible({"control": [FILE]}, {"storage": failure})
    code, text = shown(ansible, monkeypatch, capsys)
    assert code == 1
    assert [call[0] for call in ansible.calls][1] == ("control", "networks", "volumes", "compute")
    assert "cannot tell: sto1: ceph: Ceph is configured" in text
    assert "/etc/nova/nova.conf" in text


def test_of_a_deployed_site_openbao_must_be_open(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = state_dir("lab") / "vault"
    folder.mkdir()
    (folder / "deployer.json").write_text("{}")

    def sealed(_place: Any) -> None:
        raise SocleError("OpenBao is sealed", exit_code=planning.ExitCode.UNREACHABLE)

    monkeypatch.setattr(planned.vault, "ansible_environment", sealed)
    assert run(["plan"]) == 6
    assert capsys.readouterr().err == "OpenBao is sealed\n"


def test_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(Ansible({"control": [FILE]}), monkeypatch, capsys, "--json")
    assert code == 0
    found = json.loads(text)
    (change,) = next(node for node in found["nodes"] if node["name"] == "ctl1")["changes"]
    assert change["diffs"] == [{"path": "/etc/nova/nova.conf", "before": "a\n", "after": "b\n"}]


def test_every_line_on_demand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _code, text = shown(Ansible({"control": [NEW]}), monkeypatch, capsys, "--full")
    assert text.count("+line") == 3
