"""Keys are refused only when certificates open sessions: a run that is killed at any step can be repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from socle.hardening import HostTraits, applied, files
from socle.lab.process import PRIVATE_NAMESPACES
from socle.site.entrance import CERTIFICATE_FILE, KEY_FILE
from socle.vault import ssh
from tests.hosts.machine_root import machine_root
from tests.hosts.test_ssh import SECONDS, answers, free_port, put

ABLE = {"kernel": True, "auditd": True, "apparmor": True}


@dataclass
class Node:
    """A node whose SSH server takes the files of the role one by one."""

    process: subprocess.Popen[bytes]
    port: int
    key: Path
    log: Path

    @property
    def server(self) -> int:
        """The server's process, in the namespaces that the first one made."""
        pid = self.process.pid
        while Path(f"/proc/{pid}/comm").read_text().strip() != "sshd":
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid

    def lay(self, path: str, content: str) -> None:
        """What the bundle does with one file: one rename."""
        target = Path(f"/proc/{self.server}/root{path}")
        target.parent.mkdir(exist_ok=True)
        draft = target.with_name(f"{target.name}.new")
        draft.write_text(content)
        draft.chmod(0o644)
        draft.rename(target)

    def reload(self) -> None:
        """The server reads its settings again."""
        before = self.log.read_text().count("Server listening")
        os.kill(self.server, signal.SIGHUP)
        end = time.monotonic() + SECONDS
        while self.log.read_text().count("Server listening") == before:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def opens(self, *options: str) -> bool:
        """Whether the deploying account comes in with what it has, by a new connection."""
        given = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        given += ["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i", str(self.key), *options]
        command = ["ssh", *given, "-p", str(self.port), "socle@127.0.0.1", "true"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        assert done.returncode in {0, 255}, done.stderr
        return done.returncode == 0

    def opens_by_key_alone(self) -> bool:
        """The same without the certificate."""
        return self.opens("-o", "CertificateFile=none", "-o", "PubkeyAcceptedAlgorithms=ssh-ed25519")


def certify(key: Path, authority: Path, seconds: int = 600) -> None:
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "deployer", "-n", "socle"]
    subprocess.run([*sign, "-V", f"-1m:+{seconds}s", f"{key}.pub"], check=True, capture_output=True)


def laid(authority: str) -> list[tuple[str, str]]:
    """The role's files of the SSH server, in the order in which the bundle lays them."""
    host = HostTraits((), ABLE, "socle", (), authority)
    found = [(entry["path"], str(entry.get("content", ""))) for entry in files(applied(host), host)]
    return [(path, text) for path, text in found if path.startswith("/etc/ssh/")]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A bare node: it knows the plain key of the deploying machine."""
    upper, port, log = tmp_path / "upper", free_port(), tmp_path / "log"
    upper.mkdir()
    (tmp_path / "host").mkdir()
    (tmp_path / "state").mkdir()
    key = ssh.new_key(tmp_path / "state", "socle")
    put(upper, "/etc/ssh/ssh_host_ed25519_key", ssh.new_key(tmp_path / "host", "host").read_text())
    put(upper, "/etc/issue.net", "Acces reserve.\n")
    own = f"Port {port}\nListenAddress 127.0.0.1\nPerSourcePenalties no\nPidFile none\nUsePAM yes\n"
    put(upper, "/etc/ssh/probe_config", f"{own}Include /etc/ssh/sshd_config.d/05-socle-hardening.conf\n")
    put(upper, "/home/alice/.ssh/authorized_keys", "")
    socle = upper / "home/socle/.ssh"
    socle.mkdir(parents=True)
    (socle / "authorized_keys").write_text(key.with_name(f"{KEY_FILE}.pub").read_text())
    for path in (socle.parent, socle, socle / "authorized_keys"):
        os.chown(path, 1000, 1000)
    script = [
        "sh",
        str(Path(__file__).with_name("probe-sshd.sh")),
        str(machine_root() / "root"),
        str(tmp_path),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*PRIVATE_NAMESPACES, *script], stdin=subprocess.PIPE, stdout=output, stderr=output
        )
        try:
            assert process.stdin
            process.stdin.write(b"alice:unused-Password-1\n")
            process.stdin.close()
            answers(port, process, log)
            yield Node(process, port, key, log)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A site's authority."""
    (tmp_path / "authority").mkdir()
    return ssh.new_key(tmp_path / "authority", "authority")


def test_the_authority_is_known_before_keys_are_refused() -> None:
    (first, text), (second, settings), (third, held) = laid("ssh-ed25519 AAAA")
    assert (first, text) == ("/etc/ssh/socle_user_authority.pub", "ssh-ed25519 AAAA\n")
    assert second.endswith("/05-socle-hardening.conf")
    assert "AuthorizedKeysFile none" in settings
    assert third.endswith("/90-socle-audit.conf")
    assert "ForceCommand" in held


@pytest.mark.parametrize("restarted", [False, True], ids=["as-it-runs", "restarted"])
@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_a_run_that_was_killed_between_two_steps_comes_in_again(
    node: Node, authority: Path, steps: int, restarted: bool
) -> None:
    """The certificate is in hand (``keys``) before the first file is laid (``certificates``)."""
    certify(node.key, authority)
    public = authority.with_name(f"{KEY_FILE}.pub").read_text().strip()
    for path, text in laid(public)[:steps]:
        node.lay(path, text)
    if restarted:
        node.reload()
    assert node.opens()
    # The next run: everything is laid, and from then on the certificate is what opens.
    for path, text in laid(public):
        node.lay(path, text)
    node.reload()
    assert node.opens()
    assert not node.opens_by_key_alone()


def test_before_there_is_a_certificate_the_key_opens(node: Node) -> None:
    """A run that was killed after OpenBao made the authority, and before it signed."""
    assert not node.key.with_name(CERTIFICATE_FILE).exists()
    for path, text in laid(""):
        node.lay(path, text)
    node.reload()
    assert node.opens()


def test_a_shared_connection_stays_and_the_next_one_comes_by_certificate(
    node: Node, authority: Path, tmp_path: Path
) -> None:
    shared = ("-o", "ControlMaster=auto", "-o", f"ControlPath={tmp_path}/c", "-o", "ControlPersist=60s")
    assert node.opens(*shared)
    certify(node.key, authority)
    for path, text in laid(authority.with_name(f"{KEY_FILE}.pub").read_text().strip()):
        node.lay(path, text)
    node.reload()
    assert node.opens(*shared)
    assert node.opens()
    node.key.with_name(CERTIFICATE_FILE).unlink()
    assert node.opens(*shared), "the old connection hides that the key opens nothing any more"
    assert not node.opens(), "a new one, which the role asks for before it keeps its settings, shows it"
    subprocess.run(
        ["ssh", "-O", "exit", "-o", f"ControlPath={tmp_path}/c", "x"], check=False, capture_output=True
    )


def test_an_expired_certificate_opens_nothing_and_a_new_one_does(node: Node, authority: Path) -> None:
    for path, text in laid(authority.with_name(f"{KEY_FILE}.pub").read_text().strip()):
        node.lay(path, text)
    node.reload()
    certify(node.key, authority, seconds=1)
    time.sleep(2)
    assert ssh.seconds_left(node.key.with_name(CERTIFICATE_FILE)) == 0
    assert not node.opens()
    certify(node.key, authority)
    assert node.opens()
