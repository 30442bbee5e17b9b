"""Who comes in by SSH: a real OpenBao signs, a real server with the role's settings lets in or refuses."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import pytest
from hvac.exceptions import Forbidden, InvalidRequest

from socle.audit import program
from socle.catalogue.host_certificates import HostCertificate
from socle.hardening import HostTraits, applied, files
from socle.hardening.people import sudoers
from socle.lab.process import PRIVATE_NAMESPACES
from socle.site.entrance import AUDIT_PROGRAM, AUTHORITY_FILE, KEY_FILE, KNOWN_HOSTS
from socle.tools import binary
from socle.vault import ssh
from socle.vault.place import CertifiedHost, Place
from socle.vault.policies import text
from tests.hosts.machine_root import machine_root

ABLE = {"kernel": True, "auditd": True, "apparmor": True}
NODE = CertifiedHost(
    "ctl1", "127.0.0.1", (HostCertificate("endpoints", "haproxy", "haproxy", ("a.test",), ()),)
)
PASSWORD = secrets.token_urlsafe(12)
SECONDS = 30


@dataclass
class Authority:
    """OpenBao with its authorities for SSH, and a person who is logged in."""

    root: Any
    person: Any
    place: Place

    def certified(self, folder: Path, role: str = "operator", principal: str = "alice", **more: str) -> Path:
        """A new key of the person with a certificate; ``more`` goes to OpenBao."""
        key = ssh.new_key(folder, "probe")
        asked = {"public_key": key.with_name(f"{key.name}.pub").read_text(), "valid_principals": principal}
        answer = self.person.write_data(f"{ssh.USER_MOUNT}/sign/{role}", data={**asked, **more})
        ssh.keep_certificate(key, answer["data"]["signed_key"])
        return key


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    folder, port, token = tmp_path_factory.mktemp("bao"), free_port(), secrets.token_hex(16)
    address = f"127.0.0.1:{port}"
    environment = {**os.environ, "BAO_DEV_ROOT_TOKEN_ID": token, "HOME": str(folder)}
    command = [binary("bao"), "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={address}"]
    with pytest.MonkeyPatch.context() as patch, (folder / "log").open("wb") as log:
        patch.setenv("SOCLE_STATE", str(folder / "state"))
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            answers(port, process, folder / "log")
            yield begin(f"http://{address}", token)
        finally:
            process.kill()
            process.wait()


def begin(url: str, token: str) -> Authority:
    """The authorities, and ``alice``, who is an operator and nothing else."""
    place = Place("probe", "Probe", (), "socle", ("127.0.0.1",), 3, 2, "shamir", "local", (NODE,), {})
    root = hvac.Client(url=url, token=token)
    ssh.configure(root, place)
    root.sys.create_or_update_acl_policy("role-operator", text(ssh.rules_of_person("operator")))
    root.sys.enable_auth_method("userpass")
    accessor = root.sys.list_auth_methods()["data"]["userpass/"]["accessor"]
    root.write_data(
        "auth/userpass/users/alice", data={"password": PASSWORD, "token_policies": ["role-operator"]}
    )
    root.write_data("identity/entity/name/alice", data={})
    entity = root.read("identity/entity/name/alice")["data"]["id"]
    alias = {"name": "alice", "canonical_id": entity, "mount_accessor": accessor}
    root.write_data("identity/entity-alias", data=alias)
    person = hvac.Client(url=url)
    person.auth.userpass.login("alice", PASSWORD)
    return Authority(root, person, place)


@dataclass
class Server:
    """An SSH server, and what its clients know of it."""

    port: int
    known_hosts: Path
    plain_key: Path
    process: int = 0
    """What its namespaces hang on."""
    root: Path = Path("/")

    def enter(self, login: str, key: Path | None = None, *options: str) -> subprocess.CompletedProcess[str]:
        """Try to run ``id -un`` as an account."""
        return self.ask(login, key, ("id", "-un"), *options)

    def ask(
        self, login: str, key: Path | None, words: tuple[str, ...], *options: str, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Try to run a command as an account, with something on its standard input."""
        settings = [
            *("UserKnownHostsFile=" + str(self.known_hosts), "GlobalKnownHostsFile=/dev/null"),
            *("StrictHostKeyChecking=yes", "HostKeyAlias=ctl1", "IdentitiesOnly=yes", "LogLevel=VERBOSE"),
            *options,
        ]
        given_options = [word for setting in settings for word in ("-o", setting)]
        identity = ["-i", str(key)] if key else ["-o", "IdentityFile=none"]
        place = ("-p", str(self.port), f"{login}@127.0.0.1")
        return subprocess.run(
            ["ssh", "-F", "none", *given_options, *identity, *place, *words],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )


def role_files(authority: str) -> dict[str, dict[str, Any]]:
    """What the role lays on a host, by path."""
    host = HostTraits((), ABLE, "socle", ("alice", "bob", "root"), authority)
    return {entry["path"]: entry for entry in files(applied(host), host)}


def put(upper: Path, path: str, content: str, mode: int = 0o600) -> None:
    target = upper / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)
    target.chmod(mode)


def serve(authority: Authority, folder: Path, trusted: str) -> Iterator[Server]:
    """An SSH server whose host key is certified, with a plain key that ``alice`` put in her folder."""
    upper, port = folder / "upper", free_port()
    upper.mkdir()
    host, plain = folder / "host", folder / "plain"
    host.mkdir()
    plain.mkdir()
    host_key, plain_key = ssh.new_key(host, "host"), ssh.new_key(plain, "plain")
    asked = {"public_key": host_key.with_name("id_ed25519.pub").read_text(), "valid_principals": "ctl1"}
    signed = authority.root.write_data(
        f"{ssh.HOST_MOUNT}/sign/host-ctl1", data={**asked, "cert_type": "host"}
    )
    put(upper, "/etc/ssh/ssh_host_ed25519_key", host_key.read_text())
    put(upper, "/etc/socle/ssh-host-cert.pub", signed["data"]["signed_key"])
    put(upper, "/etc/ssh/socle_user_authority.pub", trusted + "\n")
    put(upper, "/etc/issue.net", "Acces reserve.\n")
    own = f"Port {port}\nListenAddress 127.0.0.1\n"
    # A source that fails is put off by default, and all these failures come from one source.
    own += "PerSourcePenalties no\nPidFile none\n"
    laid = role_files(trusted)
    parts = ("05-socle-hardening.conf", "90-socle-audit.conf")
    rules = "".join(laid[f"/etc/ssh/sshd_config.d/{name}"]["content"] for name in parts)
    put(upper, "/etc/ssh/probe_config", own + rules)
    put(upper, "/etc/sudoers.d/05-socle-hardening", laid["/etc/sudoers.d/05-socle-hardening"]["content"])
    put(upper, "/etc/sudoers.d/20-socle-people", sudoers(()))
    put(upper, AUDIT_PROGRAM, laid[AUDIT_PROGRAM]["content"], 0o755)
    put(upper, program.COMMANDS, laid[program.COMMANDS]["content"], 0o644)
    put(upper, "/home/alice/.ssh/authorized_keys", plain_key.with_name("id_ed25519.pub").read_text())
    log = folder / "log"
    script = ["sh", str(Path(__file__).with_name("probe-sshd.sh")), str(machine_root() / "root"), str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*PRIVATE_NAMESPACES, *script], stdin=subprocess.PIPE, stdout=output, stderr=output
        )
        try:
            assert process.stdin
            process.stdin.write(f"alice:{PASSWORD}\n".encode())
            process.stdin.close()
            answers(port, process, log)
            yield Server(port, authority.place.state / KNOWN_HOSTS, plain_key, process.pid, folder / "root")
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A host that knows the authority."""
    trusted = (authority.place.state / AUTHORITY_FILE).read_text().strip()
    yield from serve(authority, tmp_path_factory.mktemp("sshd"), trusted)


@pytest.fixture(scope="module")
def young(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A host before the authority is there."""
    yield from serve(authority, tmp_path_factory.mktemp("young"), "")


def refused(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 255 and "Permission denied (publickey)" in done.stderr


def test_a_certificate_opens_a_session_under_the_persons_name(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    key = authority.certified(tmp_path)
    done = server.enter("alice", key)
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr
    left = ssh.seconds_left(key.with_name("id_ed25519-cert.pub"))
    assert 3 * 3600 < left <= 4 * 3600


def test_an_expired_certificate_is_refused(authority: Authority, server: Server, tmp_path: Path) -> None:
    key = authority.certified(tmp_path, ttl="2s")
    assert server.enter("alice", key).returncode == 0
    time.sleep(3)
    assert refused(server.enter("alice", key))
    assert ssh.seconds_left(key.with_name("id_ed25519-cert.pub")) == 0


@pytest.mark.parametrize("login", ["bob", "socle", "root"])
def test_a_certificate_opens_no_account_of_another(
    authority: Authority, server: Server, tmp_path: Path, login: str
) -> None:
    assert refused(server.enter(login, authority.certified(tmp_path)))


@pytest.mark.parametrize("principal", ["bob", "socle", "root", "alice,root", "*", ""])
def test_openbao_signs_no_name_but_the_persons(authority: Authority, tmp_path: Path, principal: str) -> None:
    with pytest.raises((Forbidden, InvalidRequest)):
        authority.certified(tmp_path, principal=principal)


@pytest.mark.parametrize("role", ["auditor", "crypto-officer", "deployer"])
def test_a_person_gets_no_certificate_of_a_role_they_do_not_have(
    authority: Authority, tmp_path: Path, role: str
) -> None:
    with pytest.raises(Forbidden):
        authority.certified(tmp_path, role=role)


def test_a_certificate_of_another_authority_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other, key = ssh.new_key(tmp_path / "other", "other"), ssh.new_key(tmp_path, "probe")
    sign = ["ssh-keygen", "-q", "-s", other, "-I", "probe", "-n", "alice", "-V", "+1h", f"{key}.pub"]
    subprocess.run(sign, check=True, capture_output=True)
    assert refused(server.enter("alice", key))


def test_root_does_not_come_in_even_with_a_certificate(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    authority.root.write_data(f"{ssh.USER_MOUNT}/roles/probe", data=ssh.user_role("root", "1h"))
    key = ssh.new_key(tmp_path, "probe")
    certificate = ssh.sign(authority.place, authority.root, "probe", open_text(key), "root")
    ssh.keep_certificate(key, certificate)
    assert refused(server.enter("root", key))


def open_text(key: Path) -> str:
    """The public key beside a private one."""
    return key.with_name(f"{key.name}.pub").read_text()


def test_a_plain_key_is_refused(server: Server) -> None:
    assert refused(server.enter("alice", server.plain_key))


def test_a_plain_key_opens_sessions_only_before_the_authority_is_there(young: Server) -> None:
    done = young.enter("alice", young.plain_key)
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_a_password_is_refused(server: Server, tmp_path: Path, method: str) -> None:
    asked = tmp_path / "asked"
    asked.write_text(f"#!/bin/sh\necho yes >{tmp_path}/was-asked\necho '{PASSWORD}'\n")
    asked.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSH_ASKPASS", str(asked))
        patch.setenv("SSH_ASKPASS_REQUIRE", "force")
        assert refused(server.enter("alice", None, f"PreferredAuthentications={method}"))
    assert not (tmp_path / "was-asked").exists()


def test_a_host_is_known_by_its_certificate_alone(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    key = authority.certified(tmp_path)
    assert server.known_hosts.read_text().startswith("@cert-authority ctl1,127.0.0.1 ssh-ed25519 ")
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    other = open_text(ssh.new_key(stranger, "other"))
    (tmp_path / "known").write_text(f"@cert-authority ctl1 {other}")
    done = Server(server.port, tmp_path / "known", server.plain_key).enter("alice", key)
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_old_algorithms_are_refused(authority: Authority, server: Server, tmp_path: Path) -> None:
    key = authority.certified(tmp_path)
    for option in ("Ciphers=aes128-cbc", "KexAlgorithms=diffie-hellman-group14-sha256", "MACs=hmac-sha1"):
        more = ("Ciphers=aes256-ctr",) if option.startswith("MACs") else ()
        done = server.enter("alice", key, option, *more)
        assert done.returncode == 255
        assert "no matching" in done.stderr, done.stderr


def test_a_deployment_begins_with_a_certificate_that_outlives_it(
    authority: Authority, server: Server
) -> None:
    place = authority.place
    assert ssh.deployer_certificate(place, authority.root)
    assert not ssh.deployer_certificate(place, authority.root)
    done = server.enter("socle", place.state / KEY_FILE)
    assert (done.returncode, done.stdout) == (0, "socle\n"), done.stderr
    assert (place.state / KEY_FILE).stat().st_mode & 0o777 == 0o600
