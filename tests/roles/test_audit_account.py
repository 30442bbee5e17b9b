"""The account by which an audit reads hosts, as somebody who has its key and means harm would use it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from socle import vault
from socle.audit import program
from socle.audit.collect import session
from socle.deploy.nodes import ssh
from socle.site.entrance import ASKING, AUDIT_ACCOUNT, AUDIT_COMMAND, AUDIT_PROGRAM, KEY_FILE
from tests.roles.lab import CA_FILE, NODES, PLACE, SITE, each_node, host, output

MARK = "/var/tmp/socle-audit-was-here"
SECONDS = 120


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vault.audit_key(PLACE, tmp_path_factory.mktemp("audit"))


@pytest.fixture
def untouched(node: str) -> Iterator[None]:
    """Nothing that a test tried to make is there afterwards."""
    output(node, f"rm -f {MARK}")
    yield
    assert host(node).run(f"test ! -e {MARK}").rc == 0


def come_in(
    node: str,
    key: Path,
    *words: str,
    account: str = AUDIT_ACCOUNT,
    options: tuple[str, ...] = (),
    given: str = "{}",
) -> subprocess.CompletedProcess[str]:
    call = ssh(SITE, SITE.hosts[node], AUDIT_ACCOUNT, key)
    return subprocess.run(
        [*call[:-1], *options, call[-1], *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, ASKING: "1"},
    )


def as_account(node: str, command: str) -> Any:
    """A command of the account's own shell, which SSH never gives it."""
    return host(node).run(f"runuser -u {AUDIT_ACCOUNT} -- {command}")


@each_node
def test_it_reads_the_host(node: str, key: Path) -> None:
    asked = session.asking(SITE, SITE.hosts[node])
    done = come_in(node, key, AUDIT_COMMAND, given=asked)
    answer = session.answered(done.stdout)
    assert answer.problem is None, done.stderr
    assert len(answer.sections) > 10
    assert "value" in answer.sections["accounts"]


@each_node
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "words", [(f"touch {MARK}",), (f"sudo -n touch {MARK}",), ("/bin/sh",), (f"{AUDIT_COMMAND} -c",), ()]
)
def test_whatever_it_asks_for_it_gets_the_program(node: str, key: Path, words: tuple[str, ...]) -> None:
    asked = json.dumps({"program": "another", "questions": {}})
    done = come_in(node, key, *words, given=asked)
    assert json.loads(done.stdout) == {"program": program.digest(), "sections": {}}
    script = come_in(node, key, *words, given=f"touch {MARK}\n")
    assert script.returncode != 0
    assert script.stdout == ""


@each_node
@pytest.mark.usefixtures("untouched")
def test_no_terminal_no_tunnel_no_files_and_no_code(node: str, key: Path) -> None:
    assert "tty" not in come_in(node, key, "tty", options=("-tt",), given="").stdout
    tunnel = come_in(
        node, key, options=("-N", "-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:127.0.0.1:22")
    )
    assert tunnel.returncode != 0
    assert come_in(node, key, "sftp", options=("-s",), given="").returncode != 0
    questions = session.questions(SITE, SITE.hosts[node]) | {"hardening": [f"touch {MARK}"]}
    asked = json.dumps({"program": program.digest(), "questions": questions})
    answer = json.loads(come_in(node, key, given=asked).stdout)["sections"]["hardening"]
    assert [set(one) for one in answer["value"]] == [{"problem"}]


@each_node
def test_its_certificate_opens_no_other_account_and_no_other_key_opens_it(node: str, key: Path) -> None:
    for account in (SITE.settings.deploy_user, "root"):
        alone = ("-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        call = [
            "ssh",
            *alone,
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-i",
            str(key),
            "-l",
            account,
        ]
        done = subprocess.run(
            [*call, SITE.hosts[node].address, "true"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 255
        assert "Permission denied" in done.stderr
    assert come_in(node, CA_FILE.with_name(KEY_FILE), "true").returncode == 255


@each_node
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "command",
    [
        f"touch {MARK}",
        "id",
        "-s",
        "-e /etc/passwd",
        f"-u {SITE.settings.deploy_user} id",
        f"{AUDIT_PROGRAM} more",
        f"/usr/bin/python3 -I {AUDIT_PROGRAM}",
        f"-g adm {AUDIT_PROGRAM}",
    ],
)
def test_sudo_gives_it_the_program_only(node: str, command: str) -> None:
    done = as_account(node, f"sudo -n {command}")
    assert done.rc != 0
    assert "sudo:" in done.stderr or "not allowed" in done.stderr


@each_node
def test_its_environment_does_not_reach_the_program(node: str) -> None:
    asked = '{"program": "another", "questions": {}}'
    line = f"echo '{asked}' | PYTHONPATH=/tmp PYTHONSTARTUP=/tmp/x PYTHONINSPECT=1 {AUDIT_COMMAND}"
    done = as_account(node, f"sh -c {shlex.quote(line)}")
    assert json.loads(done.stdout)["program"] == program.digest()
    refused = as_account(node, f"sudo -n PYTHONPATH=/tmp {AUDIT_PROGRAM}")
    assert refused.rc != 0


@each_node
def test_it_can_write_nowhere_that_matters(node: str) -> None:
    for path in (
        "/etc",
        "/usr/local/libexec",
        AUDIT_PROGRAM,
        program.COMMANDS,
        "/etc/sudoers.d",
        "/root",
        "/var/lib",
    ):
        assert as_account(node, f"test -w {path}").rc == 1, path
    own = (
        f"find / -xdev -not -path '/proc/*' ( -user {AUDIT_ACCOUNT} -o -group {AUDIT_ACCOUNT} ) -print -quit"
    )
    assert output(node, own.replace("(", "\\(").replace(")", "\\)")) == ""
    for path in (AUDIT_PROGRAM, program.COMMANDS, "/usr/local/libexec", "/usr/local", "/usr"):
        rights = output(node, f"stat -c '%U:%G %a' {path}").split()
        assert rights[0] in {"root:root", "root:staff"}, path
        assert int(rights[1][-1], 8) & 2 == 0, path


def test_every_node_is_tried() -> None:
    assert set(NODES) == set(SITE.hosts)
