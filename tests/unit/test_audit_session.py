"""The one session on each host: its program, its questions, and answers that are cut, refused or strange."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from socle import hardening, vault
from socle.audit import program
from socle.audit.collect import (
    COLLECTORS,
    agent_hardening,
    agent_listeners,
    agent_services,
    agent_system,
    collect,
    declared,
    declared_hosts,
    session,
)
from socle.audit.collect.agent import Unread
from socle.audit.collect.session import HostAnswer, UnknownShape
from socle.errors import Cause, SocleError
from socle.hardening.checks import command as command_of
from socle.paths import project_root
from socle.site import Site, load
from socle.site.entrance import AUDIT_PROGRAM


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


def run(folder: Path, asked: str, *words: str, content: str = "") -> subprocess.CompletedProcess[str]:
    """The program as a host runs it, of which it can read nothing."""
    path = folder / "socle-audit"
    path.write_text(content or program.text(), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-I", str(path), *words],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/nowhere"},
    )


def test_the_program_is_whole_and_answers_every_section_even_when_it_can_read_nothing(
    site: Site, tmp_path: Path
) -> None:
    done = run(tmp_path, session.asking(site, site.hosts["ctl1"]))
    answer = session.answered(done.stdout)
    assert answer.problem is None
    assert {"system", "hardening", "handshakes", "configuration"} <= answer.sections.keys()
    without = session.answered(
        run(tmp_path, session.asking(site, site.hosts["ctl1"], ["sudo", "pam"])).stdout
    )
    assert answer.sections.keys() - without.sections.keys() == {"sudo", "pam"}
    assert "problem" in answer.sections["hardening"]


def test_a_program_of_another_version_answers_nothing_and_is_told(site: Site, tmp_path: Path) -> None:
    asked = session.asking(site, site.hosts["ctl1"])
    older = run(tmp_path, asked, content=f"{program.text()}# older\n")
    assert older.returncode == 0
    assert json.loads(older.stdout)["sections"] == {}
    problem = session.answered(older.stdout).problem or ""
    assert "n’est pas celui de ce kit" in problem
    assert "déployer d’abord" in problem


def test_the_program_takes_no_argument_and_no_code(site: Site, tmp_path: Path) -> None:
    asked = session.asking(site, site.hosts["ctl1"])
    assert run(tmp_path, asked, "-c").returncode == 1
    assert run(tmp_path, "import os; os.mkdir('made')").returncode == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts are root's")
def test_the_program_and_what_it_starts_cannot_write() -> None:
    made = project_root() / "made-by-the-audit"
    remount, bind = "mount -o remount,rw /", "mount --bind /tmp /etc"
    tries = (f"touch {made}", remount, bind, "echo 1 > /proc/sys/vm/swappiness")
    code = f"""
import subprocess
from socle.audit.collect.agent import only_read
only_read()
for command in {tries!r}:
    assert subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.DEVNULL).returncode, command
subprocess.run(["/bin/sh", "-c", "test ! -w /tmp && mktemp && echo x > /dev/null"], check=True)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=project_root())
    assert not made.exists()
    assert not Path("/tmp/own").exists()


def test_a_command_that_was_not_laid_is_refused_and_others_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid = tmp_path / "commands.json"
    laid.write_text(program.commands(["echo known"]), encoding="utf-8")
    monkeypatch.setattr(agent_hardening, "KNOWN_COMMANDS", str(laid))
    made = tmp_path / "made"
    one, other = agent_hardening.hardening({"hardening": ["echo known", f"echo known; touch {made}"]})
    assert one == {"text": "known\n"}
    assert "déployer d’abord" in other["problem"]
    assert not made.exists()


@pytest.mark.parametrize(
    ("section", "questions"),
    [
        (agent_services.configuration, {"configuration": {"keystone": ["/root/.ssh/id_ed25519"]}}),
        (agent_services.configuration, {"configuration": {"keystone": ["/etc/../root/secret"]}}),
        (agent_listeners.handshakes, {"handshakes": [{"address": "192.0.2.1", "port": 22}]}),
        (agent_system.units, {"units": ["--host=elsewhere"]}),
        (agent_system.units, {"units": ["a b"]}),
    ],
)
def test_questions_about_something_else_are_refused(
    section: Any, questions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        agent_listeners, "output", lambda *_words: '[{"addr_info": [{"local": "127.0.0.1"}]}]'
    )
    monkeypatch.setattr(agent_system, "output", lambda *_words: "")
    with pytest.raises(Unread, match="n’est pas"):
        section(questions)


def test_questions_hold_no_secret_and_name_what_runs_there(site: Site) -> None:
    asked = session.questions(site, site.hosts["ctl1"])
    assert {"keystone", "mariadb"} <= set(asked["components"])
    assert json.loads(json.dumps(asked)) == asked


def test_every_command_that_is_asked_is_one_that_is_laid(site: Site) -> None:
    for host in site.hosts.values():
        traits = declared_hosts.traits(site, host)
        laid = {entry["path"]: entry for entry in hardening.files(hardening.applied(traits), traits)}
        known = json.loads(laid[program.COMMANDS]["content"])
        assert set(session.questions(site, host)["hardening"]) == set(known)
        assert laid[AUDIT_PROGRAM]["content"] == program.text()
        paths = [path for paths in declared.paths(site, host).values() for path in paths]
        assert len(paths) > 10
        assert all(path.startswith(agent_services.LAID_BELOW) for path in paths)


def wrapped(sections: Any) -> str:
    return json.dumps({"program": program.digest(), "sections": sections})


@pytest.mark.parametrize(
    "said",
    ["", '{"system": {"value"', "[]", "{}", wrapped([]), wrapped({"system": 1}), wrapped({"system": {}})],
)
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

    def ask(_site: Site, host: Any, _key: Path, _left_out: Any = ()) -> HostAnswer:
        asked.append(host.name)
        return HostAnswer()

    monkeypatch.setattr(session, "_ask", ask)
    monkeypatch.setattr(vault, "audit_key", lambda _place, folder: folder / "key")
    session.new_pass()
    session.read_hosts(site)
    session.read_hosts(site)
    assert sorted(asked) == sorted(site.hosts)
    session.new_pass()


def test_one_host_asked_again_keeps_what_is_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(_site: Site, host: Any, _key: Path, left_out: Any = ()) -> HostAnswer:
        asked.append(host.name)
        value = {"value": len(asked) if host.name == "ctl1" else 0}
        return HostAnswer({name: value for name in ("pam", "sudo") if name not in left_out})

    monkeypatch.setattr(session, "_ask", ask)
    monkeypatch.setattr(vault, "audit_key", lambda _place, folder: folder / "key")
    session.new_pass()
    first = session.read_hosts(site)["ctl1"].sections
    session.ask_again(site, ["ctl1"], ["sudo"])
    again = session.read_hosts(site)["ctl1"].sections
    session.new_pass()
    assert asked.count("ctl1") == 2
    assert len(asked) == len(site.hosts) + 1
    assert again["sudo"] == first["sudo"]
    assert again["pam"] != first["pam"]


def answers(
    site: Site, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> dict[str, tuple[str, list[str]]]:
    """Problem of each host, and the words by which it was called, when ssh ends like that."""
    calls: dict[str, list[str]] = {}

    def run_ssh(words: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        calls[words[-2]] = words
        return subprocess.CompletedProcess([], status, "", said)

    monkeypatch.setattr(vault, "audit_key", lambda _place, folder: folder / "key")
    monkeypatch.setattr(subprocess, "run", run_ssh)
    session.new_pass()
    found = session.read_hosts(site)
    session.new_pass()
    return {name: (one.problem or "", calls[site.hosts[name].address]) for name, one in found.items()}


@pytest.mark.parametrize(
    ("status", "said", "problem"),
    [
        (255, "client_loop: send disconnect: Broken pipe\n", "coupée : client_loop"),
        (255, "socle-audit@10.77.0.11: Permission denied (publickey).\n", "n’admet pas socle-audit"),
        (1, "sudo: /usr/local/libexec/socle-audit: command not found\n", "n’est pas sur l’hôte"),
        (1, "sudo: a password is required\n", "déployer d’abord"),
    ],
)
def test_a_session_that_fails_says_why(
    site: Site, monkeypatch: pytest.MonkeyPatch, status: int, said: str, problem: str
) -> None:
    found = answers(site, monkeypatch, status, said)
    assert set(found) == set(site.hosts)
    for told, words in found.values():
        assert problem in told
        assert words[-1] == "/usr/bin/sudo -n /usr/local/libexec/socle-audit"
        assert words[words.index("-l") + 1] == "socle-audit"


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (SocleError("sealed", cause=Cause.OPENBAO_SEALED), "(OpenBao est scellé"),
        (SocleError("error:\n\t* permission denied\n"), "déployer d’abord"),
    ],
)
def test_without_a_certificate_no_host_is_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: SocleError, problem: str
) -> None:
    def refused(_place: Any, _folder: Path) -> Path:
        raise error

    monkeypatch.setattr(vault, "audit_key", refused)
    session.new_pass()
    found = session.read_hosts(site)
    session.new_pass()
    assert set(found) == set(site.hosts)
    assert all(problem in (one.problem or "") for one in found.values())


def test_no_file_of_the_agent_takes_a_name_of_another() -> None:
    """They become one script, in which the later definition would win in silence."""
    defined = []
    for node in ast.parse(program.source()).body:
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


def test_parameters_of_the_kernel_are_read_as_sysctl_prints_them() -> None:
    names = ["kernel.ostype", "net.ipv4.ip_local_port_range", "net.no_such_parameter"]
    command = f"sysctl {' '.join(names)}"
    told = agent_hardening.all_printed([command])[command]
    assert told == {
        "text": "".join(
            f"{name} = {' '.join(Path('/proc/sys', *name.split('.')).read_text().split())}\n"
            for name in names[:2]
        )
    }
    (rule,) = (one for one in hardening.load().rules if "net.core.bpf_jit_harden" in one.settings)
    assert command_of(rule).startswith(agent_hardening.PARAMETERS)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a mount namespace")
def test_a_parameter_that_only_who_may_mount_reads_is_read_after_that_right_is_given_up() -> None:
    command = "sysctl net.core.bpf_jit_harden"
    code = (
        "import json, subprocess\n"
        "from socle.audit.collect.agent import only_read\n"
        "from socle.audit.collect.agent_hardening import all_printed\n"
        "only_read()\n"
        f"told = all_printed([{command!r}])[{command!r}]['text']\n"
        f"started = subprocess.run({command.split()!r}, capture_output=True, text=True, check=False).stdout\n"
        "print(json.dumps([told, started]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value = Path("/proc/sys/net/core/bpf_jit_harden").read_text().strip()
    assert json.loads(done.stdout) == [f"net.core.bpf_jit_harden = {value}\n", ""]
