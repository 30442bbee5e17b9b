"""The audit's account on a real server, as somebody who holds its key and means harm would use it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from socle.audit import program
from socle.site.entrance import AUDIT_ACCOUNT, AUDIT_COMMAND, AUDIT_PROGRAM
from socle.vault import ssh
from tests.hosts.test_ssh import Authority, Server, authority, open_text, refused, server

__all__ = ["authority", "server"]

MARK = "/var/tmp/socle-audit-was-here"
ANOTHER = json.dumps({"program": "another", "questions": {}})
"""Questions for a program of another version, which answers only which one it is."""


@pytest.fixture
def key(authority: Authority, tmp_path: Path) -> Path:
    return ssh.audit_key(authority.place, authority.root, tmp_path)


def test_it_answers_with_its_digest_and_what_it_reads(server: Server, key: Path) -> None:
    questions = {
        "components": [],
        "capabilities": {"time": False},
        "hardening": [f"touch {MARK}"],
        "units": [],
    }
    asked = json.dumps({"program": program.digest(), "questions": questions})
    done = server.ask(AUDIT_ACCOUNT, key, (AUDIT_COMMAND,), given=asked)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["program"] == program.digest()
    accounts = {one["name"] for one in answer["sections"]["accounts"]["value"]["accounts"]}
    assert {"root", AUDIT_ACCOUNT} <= accounts
    assert "déployer d’abord" in answer["sections"]["hardening"]["value"][0]["problem"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("id",),
        ("/bin/sh",),
        (f"sudo -n touch {MARK}",),
        (f"touch {MARK}",),
        (AUDIT_COMMAND, "-c"),
        ("scp", "-t", "/"),
    ],
)
def test_whatever_it_asks_for_it_gets_the_program(server: Server, key: Path, words: tuple[str, ...]) -> None:
    done = server.ask(AUDIT_ACCOUNT, key, words, given=ANOTHER)
    assert json.loads(done.stdout) == {"program": program.digest(), "sections": {}}, done.stderr
    code = server.ask(AUDIT_ACCOUNT, key, words, given=f"touch {MARK}\n")
    assert code.returncode != 0
    assert code.stdout == ""


def test_sshd_holds_it_to_the_program_when_the_certificate_does_not(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    authority.root.write_data(f"{ssh.USER_MOUNT}/roles/probe", data=ssh.user_role(AUDIT_ACCOUNT, "1h"))
    key = ssh.new_key(tmp_path, "probe")
    ssh.keep_certificate(
        key, ssh.sign(authority.place, authority.root, "probe", open_text(key), AUDIT_ACCOUNT)
    )
    terminal = server.ask(AUDIT_ACCOUNT, key, ("id",), "RequestTTY=force", given=ANOTHER)
    assert (terminal.returncode, terminal.stdout) == (255, "")
    assert "PTY allocation request failed" in terminal.stderr
    done = server.ask(AUDIT_ACCOUNT, key, ("id",), given=ANOTHER)
    assert json.loads(done.stdout) == {"program": program.digest(), "sections": {}}
    forward = ("ExitOnForwardFailure=yes", "RemoteForward=127.0.0.1:0 127.0.0.1:22")
    assert server.ask(AUDIT_ACCOUNT, key, (), *forward, given=ANOTHER).returncode == 255


@pytest.mark.parametrize("login", ["alice", "socle", "root"])
def test_its_certificate_opens_no_other_account(server: Server, key: Path, login: str) -> None:
    assert refused(server.enter(login, key))


def test_no_other_certificate_opens_it(authority: Authority, server: Server, tmp_path: Path) -> None:
    assert refused(server.enter(AUDIT_ACCOUNT, authority.certified(tmp_path)))


def test_its_certificate_is_worth_nothing_from_elsewhere(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    elsewhere = ssh.audit_role(authority.place)
    elsewhere["default_critical_options"]["source-address"] = "192.0.2.1"
    authority.root.write_data(f"{ssh.USER_MOUNT}/roles/{ssh.AUDIT}", data=elsewhere)
    try:
        key = ssh.audit_key(authority.place, authority.root, tmp_path)
        assert refused(server.enter(AUDIT_ACCOUNT, key))
    finally:
        role = ssh.audit_role(authority.place)
        authority.root.write_data(f"{ssh.USER_MOUNT}/roles/{ssh.AUDIT}", data=role)


def as_account(server: Server, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """A command of the account's own, which SSH never gives it."""
    first = Path(f"/proc/{server.process}/task/{server.process}/children").read_text("ascii").split()[0]
    enter = ["nsenter", "--target", first, "--mount", "--pid", "chroot", str(server.root)]
    command = [*enter, "runuser", "-u", AUDIT_ACCOUNT, "--", *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words",
    [
        ("touch", MARK),
        ("id",),
        ("-s",),
        ("-e", "/etc/passwd"),
        ("-u", "alice", "id"),
        (AUDIT_PROGRAM, "more"),
        ("/usr/bin/python3", "-I", AUDIT_PROGRAM),
        ("-g", "adm", AUDIT_PROGRAM),
        ("PYTHONPATH=/tmp", AUDIT_PROGRAM),
    ],
)
def test_sudo_gives_it_the_program_only(server: Server, words: tuple[str, ...]) -> None:
    assert json.loads(as_account(server, "sudo", "-n", AUDIT_PROGRAM, given=ANOTHER).stdout)["sections"] == {}
    done = as_account(server, "sudo", "-n", *words, given=ANOTHER)
    assert done.returncode != 0
    assert done.stdout == ""
    assert as_account(server, "test", "-e", MARK).returncode == 1


def test_it_can_write_nowhere_that_matters(server: Server) -> None:
    assert as_account(server, "test", "-w", "/var/tmp").returncode == 0
    for path in (AUDIT_PROGRAM, program.COMMANDS, "/usr/local/libexec", "/etc", "/etc/sudoers.d", "/root"):
        assert as_account(server, "test", "-w", path).returncode == 1, path
    assert as_account(server, "id", "-nG").stdout.split() == [AUDIT_ACCOUNT]
