"""The one session on each host: its script, its questions, and answers that are cut, refused or strange."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from typing import Any

import pytest

from socle.audit.collect import COLLECTORS, collect, session
from socle.audit.collect.session import HostAnswer, UnknownShape
from socle.errors import SocleError
from socle.paths import project_root
from socle.site import Site, load


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


def alone(script: str) -> str:
    """What a script prints on a machine that has no program for it."""
    return subprocess.run(
        [sys.executable, "-I", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/nowhere"},
    ).stdout


def test_the_script_is_whole_and_answers_every_section_even_when_it_can_read_nothing(site: Site) -> None:
    said = alone(session.script(site, site.hosts["ctl1"]))
    sections = json.loads(said)
    assert "system" in sections
    assert session.answered(said).problem is None
    without = json.loads(alone(session.script(site, site.hosts["ctl1"], ["sudo", "pam"])))
    assert sections.keys() - without.keys() == {"sudo", "pam"}


def test_questions_hold_no_secret_and_name_what_runs_there(site: Site) -> None:
    asked = session.questions(site, site.hosts["ctl1"])
    assert {"keystone", "mariadb"} <= set(asked["components"])
    assert json.loads(json.dumps(asked)) == asked


@pytest.mark.parametrize("said", ["", '{"system": {"value"', "[]", '{"system": 1}', '{"system": {}}'])
def test_an_answer_that_is_cut_or_strange_is_a_problem(said: str) -> None:
    answer = session.answered(said)
    assert answer.problem
    assert answer.fact("host.system", "ctl1", "system").problem == answer.problem


def test_a_section_that_was_not_answered_refused_or_of_another_shape_is_a_problem() -> None:
    def shape(_value: Any) -> Any:
        raise UnknownShape("ni l’un ni l’autre")

    answer = HostAnswer({"a": {"problem": "interdit"}, "b": {"value": 3}})
    assert answer.fact("host.a", "ctl1", "a").problem == "interdit"
    assert "n’a pas répondu" in (answer.fact("host.c", "ctl1", "c").problem or "")
    assert "ni l’un" in (answer.fact("host.b", "ctl1", "b", shape).problem or "")
    assert "KeyError" in (
        answer.fact(
            "host.b", "ctl1", "b", lambda value: value["x"] if value is None else {"y": 1}["x"]
        ).problem
        or ""
    )
    assert answer.fact("host.b", "ctl1", "b").value == 3


def test_each_host_is_asked_once_in_a_pass(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(_site: Site, host: Any, _left_out: Any = ()) -> HostAnswer:
        asked.append(host.name)
        return HostAnswer()

    monkeypatch.setattr(session, "_ask", ask)
    session.new_pass()
    session.read_hosts(site)
    session.read_hosts(site)
    assert sorted(asked) == sorted(site.hosts)
    session.new_pass()


def test_one_host_asked_again_keeps_what_is_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(_site: Site, host: Any, left_out: Any = ()) -> HostAnswer:
        asked.append(host.name)
        value = {"value": len(asked) if host.name == "ctl1" else 0}
        return HostAnswer({name: value for name in ("pam", "sudo") if name not in left_out})

    monkeypatch.setattr(session, "_ask", ask)
    session.new_pass()
    first = session.read_hosts(site)["ctl1"].sections
    session.ask_again(site, ["ctl1"], ["sudo"])
    again = session.read_hosts(site)["ctl1"].sections
    session.new_pass()
    assert asked.count("ctl1") == 2
    assert len(asked) == len(site.hosts) + 1
    assert again["sudo"] == first["sudo"]
    assert again["pam"] != first["pam"]


def test_a_session_that_ends_early_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_args: Any, **_kwargs: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 255, "", "client_loop: send disconnect: Broken pipe\n")

    monkeypatch.setattr(subprocess, "run", run)
    session.new_pass()
    answers = session.read_hosts(site)
    session.new_pass()
    assert all("Broken pipe" in (answer.problem or "") for answer in answers.values())


def test_no_file_of_the_agent_takes_a_name_of_another() -> None:
    """They become one script, in which the later definition would win in silence."""
    defined = []
    for node in ast.parse(session._source()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.append(node.name)
        elif isinstance(node, ast.Assign):
            defined += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.append(node.target.id)
    assert len(defined) > 50
    assert sorted({name for name in defined if defined.count(name) > 1}) == []


def test_a_fact_that_two_sources_declare_is_refused(site: Site) -> None:
    twice = [one for one in COLLECTORS if one.name == "register"] * 2
    with pytest.raises(SocleError, match=r"two sources declare register\.evidence"):
        collect(site, "static", twice)


def test_what_takes_seconds_to_load_is_not_loaded_by_collectors() -> None:
    loaded = "sorted({'pulumi', 'openstack'} & sys.modules.keys())"
    program = f"import sys, socle.audit.collect.running; print({loaded})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
