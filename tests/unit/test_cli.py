"""The command line: help that reads like a manual page, errors as lines, exit codes as documented."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from socle.cli import app as command_line
from socle.cli.app import MODULES, run, shared_first
from socle.deploy import lock
from socle.errors import ExitCode, SocleError
from socle.logs.asking import HEADS
from socle.paths import project_root, state_dir

SOCLE = str(Path(sys.executable).with_name("socle"))
COMMANDS = [
    ["validate"],
    ["plan"],
    ["deploy"],
    ["status"],
    ["journal"],
    ["lab", "up"],
    ["lab", "down"],
    ["lab", "status"],
    ["lab", "shell"],
    ["lab", "reset"],
    ["tenant", "list"],
    ["tenant", "plan"],
    ["tenant", "apply"],
    ["tenant", "show"],
    ["tenant", "erase-keys"],
    ["logs", "verify"],
    ["logs", "extract"],
    ["logs", "search"],
    ["logs", "forget"],
    ["vault", "rotate"],
    ["tools", "build"],
]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    return tmp_path


def test_the_help_lists_commands_examples_exit_codes_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for told in (*MODULES, "Examples", "Exit codes", "Files", "SOCLE_SITE", "5  another run holds the lock"):
        assert told in text


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_each_command_says_what_it_does_with_an_example(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: socle {' '.join(command)}" in text
    assert f"socle {' '.join(command)}" in text.split("Examples")[1]
    assert not run(["--site", "nowhere", *command, "--help"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "No such command 'nothing'; see `socle --help`"),
        (["deploy", "--nope"], "No such option: --nope; see `socle deploy --help`"),
        (["--site", "nowhere", "validate"], "is no site folder"),
        (["--site"], "requires an argument"),
        (["lab", "shell"], "see `socle lab shell --help`"),
        (["deploy", "--only", "nobody"], "no role, node or tenant nobody"),
        (["logs", "forget", "ctl1"], "ctl1 keeps no logs"),
        (["tenant", "show", "123"], "no tenant 123"),
        (["tenant", "apply", "123"], "no tenant 123"),
        (["tenant", "erase-keys", "123"], "no tenant 123"),
        (["tenant", "erase-keys", "210000014"], "not confirmed, nothing was done"),
        (["tenant", "erase-keys", "210000014", "--yes-erase", "210000022"], "not confirmed"),
        (["journal", "yesterday"], "no run yesterday"),
        (["lab", "shell", "nobody"], "no node nobody"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitCode.USAGE
    said = capsys.readouterr()
    assert told in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


def test_validate_says_what_the_site_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate"]) == 0
    assert "lab: 5 hosts, 3 tenants" in capsys.readouterr().out
    assert run(["--site", str(project_root() / "inventories/modele-gip"), "validate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["site"], found["valid"], found["tenants"]) == ("modele-gip", True, 12)


def test_a_wrong_site_is_a_line_for_each_error_and_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / "site.yml").write_text("title: [\nnope: 1\n")
    for command in ("validate", "plan", "deploy", "status", "journal"):
        assert run(["--site", str(folder), command]) == ExitCode.INVALID_SITE
        said = capsys.readouterr()
        assert said.out == ""
        assert "site.yml:" in said.err
        assert "Traceback" not in said.err


def test_the_lab_wants_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(["lab", "status"]) == ExitCode.PREREQUISITE
    assert capsys.readouterr().err == "the lab needs root; run it with sudo\n"


@pytest.mark.parametrize(
    "command",
    [["lab", "up"], ["lab", "down"], ["lab", "reset", "--yes"], ["lab", "status"], ["audit", "mutations"]],
    ids=" ".join,
)
def test_what_is_no_lab_is_never_made_nor_deleted(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    keys = state_dir("modele-gip") / "custodians"
    keys.mkdir(parents=True)
    assert run(["--site", str(project_root() / "inventories/modele-gip"), *command]) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "modele-gip: this site is no lab; expected `openbao.custody: test-custodians` in site.yml\n"
    )
    assert [path.name for path in state_dir("modele-gip").iterdir()] == ["custodians"]


def test_a_site_folder_that_cannot_be_read_is_no_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, is_file = tmp_path / "closed", Path.is_file
    folder.mkdir()

    def closed(path: Path) -> bool:
        if path.parent == folder:
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", closed)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != folder)
    assert run(["--site", str(folder), "validate"]) == ExitCode.INVALID_SITE
    assert "closed:1: the folder cannot be read" in capsys.readouterr().err


def test_where_no_bundles_are_is_told_what_was_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong"
    assert run(["audit", "verify", str(wrong)]) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert said == f"{wrong}: no bundles are there; expected a bundle or a chain of bundles\n"


def test_a_second_run_says_who_holds_the_lock(capsys: pytest.CaptureFixture[str]) -> None:
    with lock.hold(state_dir("lab") / "lock"):
        for command in (["deploy"], ["plan"], ["tenant", "apply"]):
            assert run(command) == ExitCode.LOCKED
            assert f"(process {os.getpid()}) since" in capsys.readouterr().err


def test_a_node_that_does_not_answer_is_exit_code_6(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socle.deploy.deployment.check_names", lambda _site: None)
    (state_dir("lab") / "ssh_config").write_text("Host *\n  ProxyCommand /bin/false\n")
    assert run(["deploy", "--only", "cmp2"]) == ExitCode.UNREACHABLE
    last = capsys.readouterr().err.splitlines()
    assert len(last) == 1
    assert last[0].startswith("cmp2: does not answer by SSH on 10.77.0.22 (")
    assert run(["journal", "last"]) == 0
    assert "failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (SocleError("is sealed", where="OpenBao", exit_code=ExitCode.UNREACHABLE), 6, "OpenBao: is sealed"),
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on from here"),
        (OSError(28, "No space left on device", "/var/x"), 1, "/var/x: No space left on device"),
    ],
)
def test_whatever_goes_wrong_is_one_line(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command_line, "load", raising(error))
    assert run(["validate"]) == code
    assert capsys.readouterr().err == f"{line}\n"


def raising(error: BaseException) -> Any:
    def load(_folder: Path) -> None:
        raise error

    return load


def test_a_bug_is_one_line_and_its_details_a_private_file(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "load", raising(ValueError("odd\nvalue")))
    assert run(["validate"]) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert re.match(
        r"unexpected ValueError at socle/cli/[a-z_]+\.py:\d+: odd value; the details are in ", said
    )
    path = Path(said.split()[-1])
    assert path.parent == state / "errors"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in path.read_text()


# A process that was started in the background is deaf to Ctrl-C.
WAITING = """
import signal, sys, time
from socle.cli import app
signal.signal(signal.SIGINT, signal.default_int_handler)
app.load = lambda folder: (print("ready", flush=True), time.sleep(60))
sys.exit(app.run(["validate"]))
"""


def test_ctrl_c_ends_a_command_with_one_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "ready\n"
        time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 130
        assert running.stderr.read() == "interrupted; the same command goes on from here\n"


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["status", "--json"], ["--json", "status"]),
        (["deploy", "--only", "nova", "--site", "x"], ["--site", "x", "deploy", "--only", "nova"]),
        (["tenant", "list", "--site=x", "--json"], ["--site=x", "--json", "tenant", "list"]),
        (["lab", "shell", "ctl1", "nova", "--json"], ["lab", "shell", "ctl1", "nova", "--json"]),
        (["lab", "shell", "ctl1", "--", "ls", "--json"], ["lab", "shell", "ctl1", "--", "ls", "--json"]),
    ],
)
def test_shared_options_may_stand_anywhere(given: list[str], ordered: list[str]) -> None:
    assert shared_first(given) == ordered


def test_the_shell_completes_commands() -> None:
    asked = {"_SOCLE_COMPLETE": "complete_bash", "COMP_WORDS": "socle ten", "COMP_CWORD": "1"}
    done = subprocess.run([SOCLE], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["tenant"]


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen(
        [SOCLE, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as said:
        assert said.stdout
        assert said.stderr
        said.stdout.close()
        assert said.stderr.read() == ""


def test_a_reset_lab_is_forgotten_with_the_ends_of_its_logs(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("socle.lab.Lab.reset", lambda _lab, _tell: None)
    ends = state / "lab" / HEADS
    ends.parent.mkdir(parents=True)
    ends.write_text('{"sec1": {"number": 3, "sha256": ""}}')
    assert run(["--site", "lab", "lab", "reset", "--yes"]) == 0, capsys.readouterr().err
    assert not ends.exists()
