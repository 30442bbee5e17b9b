"""Sessions that must open and sessions that must not, while the authorities of SSH are rotated.

A refusal counts only beside a session that differs in nothing but who signed, and opens.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.site.entrance import KEY_FILE, KNOWN_HOSTS
from socle.vault import issuers, ssh
from socle.vault.place import CertifiedHost, Place
from socle.vault.rotation import Rotation

SECONDS = 60
AT_ONCE = 16
SSH_FAILED = 255
NO_SESSION = "Permission denied (publickey)"
NO_HOST = "Host key verification failed"
SHOWN = "/run/socle-former-host-cert.pub"
"""Where a host has, for the time of a call, the certificate that a client must refuse."""
NOBODY = "-o PasswordAuthentication=no -o KbdInteractiveAuthentication=no -o AuthorizedKeysFile=none"
"""Of the server that shows it: it lets nobody in."""
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


@dataclass(frozen=True)
class Client:
    """How this machine opens a session for a proof: nothing else says which keys and hosts are known."""

    place: Place
    key: Path
    known_hosts: Path

    def run(self, host: CertifiedHost, command: str, *more: str, given: str = "") -> tuple[int, str, str]:
        """Exit code, output and errors of a command on a host; 255 when there is no session.

        Raises:
            SocleError: no answer in time (exit code 6).
        """
        words = [word for setting in (*self._settings(host), *more) for word in ("-o", setting)]
        target = [*words, "-i", str(self.key), "-l", self.place.deploy_user, host.address, command]
        try:
            done = subprocess.run(
                ["ssh", "-F", "none", *target],
                input=given,
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise SocleError(
                f"SSH has no end after {SECONDS} s", where=host.name, exit_code=ExitCode.UNREACHABLE
            ) from error
        return done.returncode, done.stdout, done.stderr

    def command(self, host: CertifiedHost, command: str) -> str:
        """The same as a command line, for another session to go through."""
        words = [word for setting in self._settings(host) for word in ("-o", setting)]
        target = ["-i", str(self.key), "-l", self.place.deploy_user, host.address, command]
        return shlex.join(["ssh", "-F", "none", *words, *target])

    def _settings(self, host: CertifiedHost) -> tuple[str, ...]:
        return (
            "BatchMode=yes",
            "ConnectTimeout=10",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            f"UserKnownHostsFile={self.known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
            f"HostKeyAlias={host.name}",
            "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com",
        )


def opens(rotation: Rotation, *, newest: bool) -> None:
    """Each host is known by its certificate, and lets the deploying account in.

    Args:
        newest: only the authority that signs hosts now is believed, not one that is trusted beside it.

    Raises:
        SocleError: one is not; nothing has been dropped because of it (exit code 6).
    """
    place, speaker = rotation.place, rotation.speaker
    with tempfile.TemporaryDirectory(prefix="socle-ssh-") as folder:
        only = Path(folder, "known_hosts")
        known = issuers.trusted(speaker, ssh.HOST_MOUNT)
        durable.write(only, ssh.known_hosts(place, known[:1] if newest else known))
        client = Client(place, place.state / KEY_FILE, only)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda host: client.run(host, "true"), place.hosts))
    for host, (code, _said, errors) in zip(place.hosts, answers, strict=True):
        if code != 0:
            raise SocleError(
                f"opens no session with certificates of the new authority ({_last(errors)})",
                where=host.name,
                write="see that it answers, and run the command again",
                exit_code=ExitCode.UNREACHABLE,
            )


def users_refused(rotation: Rotation) -> None:
    """Each host refuses the key that it just let in, once the retired authority certified it.

    Raises:
        SocleError: a host lets it in, or says something else than that it refuses.
    """
    place = rotation.place
    with tempfile.TemporaryDirectory(prefix="socle-ssh-") as folder:
        key = ssh.new_key(Path(folder), "retired")
        public = key.with_name(f"{key.name}.pub").read_text(encoding="ascii")
        client = Client(place, key, place.state / KNOWN_HOSTS)
        ssh.keep_certificate(key, ssh.sign(place, rotation.speaker, ssh.FORMER, public, place.deploy_user))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda host: client.run(host, "true"), place.hosts))
    for host, (code, _said, errors) in zip(place.hosts, answers, strict=True):
        if code != SSH_FAILED or NO_SESSION not in errors:
            raise SocleError(
                f"does not refuse a certificate of the former authority (status {code}: {_last(errors)})",
                where=host.name,
            )


def hosts_refused(rotation: Rotation) -> None:
    """This machine refuses a host that shows a certificate of the retired authority.

    A second SSH server on a host, which lives for one call inside a session, shows it. Who still knows the
    retired authority gets as far as that server's own refusal.

    Raises:
        SocleError: the certificate is accepted, or refused by something else.
    """
    place, speaker = rotation.place, rotation.speaker
    host = place.hosts[0]
    with tempfile.TemporaryDirectory(prefix="socle-ssh-") as folder:
        through = Client(place, place.state / KEY_FILE, place.state / KNOWN_HOSTS)
        _show(through, host, ssh.sign_host(place, speaker, _public_key(through, host), host.name))
        former = Path(folder, "known_hosts")
        durable.write(former, ssh.known_hosts(place, (issuers.retired(speaker, ssh.HOST_MOUNT),)))
        server = f"sudo -n /usr/sbin/sshd -i -f /dev/null -h {HOST_KEY} -o HostCertificate={SHOWN} {NOBODY}"
        way = "ProxyCommand=" + through.command(host, server).replace("%", "%%")
        believed = Client(place, through.key, former).run(host, "true", way)
        refused = through.run(host, "true", way)
        through.run(host, f"sudo -n rm -f {SHOWN}")
    if NO_SESSION not in believed[2]:
        raise SocleError(f"the trial server does not answer ({_last(believed[2])})", where=host.name)
    if NO_HOST not in refused[2]:
        raise SocleError(
            f"a certificate of the former authority is not refused here ({_last(refused[2])})",
            where=str(place.state / KNOWN_HOSTS),
        )


def _public_key(client: Client, host: CertifiedHost) -> str:
    return client.run(host, f"cat {HOST_KEY}.pub")[1]


def _show(client: Client, host: CertifiedHost, certificate: str) -> None:
    code, _said, errors = client.run(host, f"sudo -n tee {SHOWN}", given=certificate)
    if code != 0:
        raise SocleError(f"cannot be given a certificate to show ({_last(errors)})", where=host.name)


def _last(errors: str) -> str:
    return " ".join(errors.strip().splitlines()[-1:]) or "it said nothing"
