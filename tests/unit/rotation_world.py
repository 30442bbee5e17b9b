"""The servers, services and hosts of a rotation, played against a real OpenBao, and killed where told."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from socle import catalogue, credentials, vault
from socle.credentials import Account
from socle.deploy import ssh_proof
from socle.deploy.progress import Screen
from socle.deploy.rotation import RotationRun
from socle.paths import project_root
from socle.site import load
from socle.site.entrance import AUTHORITY_FILE, CERTIFICATE_FILE, KNOWN_HOSTS
from socle.vault import issuers, login, ssh
from socle.vault.api import client
from socle.vault.place import Place, ServiceLogin, secrets_of
from socle.vault.rotation import Rotation
from socle.vault.rotation_targets import Secret, targets
from tests.unit.openbao_server import begun

NAMES = ("nova/database", "nova/queue", "nova/identity")
ROUNDS = 40


class Killed(BaseException):
    """The process ends here."""


class World:
    """Servers and services that take what OpenBao has when their role runs, and cut the run where told.

    After each step every service must be able to log in, and OpenBao must hold what servers accept.
    """

    def __init__(self, place: Place, patch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.asking = client(place, place.nodes[0], login.token_of(place, "ansible"))
        self.secrets = [t for t in targets(place, catalogue.load()).values() if isinstance(t, Secret)]
        self.accounts = [s for s in self.secrets if s.technique == "account"]
        self.held: dict[str, set[Account]] = {}
        self.used: dict[tuple[str, str], Account] = {}
        self.proved: list[str] = []
        self.machines: dict[str, list[str]] = {}
        self.certified: list[str] = []
        self.host_signer = self.authorities(ssh.HOST_MOUNT)[0]
        self.left = -1
        for role in catalogue.load().components:
            self.run(role)
        for name in ("mark", "clear", "destroy"):
            self._killable(patch, name)
        for name in ("opens", "users_refused", "hosts_refused"):
            patch.setattr(ssh_proof, name, getattr(self, name))
        patch.setattr(RotationRun, "_play", lambda _run, *given: self.play(*given))

    def rotate(self, name: str | None) -> RotationRun:
        """What ``socle vault rotate`` does in the lab's site."""
        run = RotationRun(load(project_root() / "inventories/lab"), Screen(Console(file=io.StringIO())), name)
        run.go()
        return run

    def _killable(self, patch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(Rotation, name)

        def cut(*given: Any) -> None:
            self.effect()
            real(*given)
            self.check()

        patch.setattr(Rotation, name, cut)

    def effect(self) -> None:
        """Something is about to be done; the run may end before it."""
        if self.left == 0:
            raise Killed
        self.left -= 1

    def values(self, component: str) -> dict[str, Any]:
        found: dict[str, Any] = self.asking.read(f"kv/data/services/{component}")["data"]["data"]
        return found

    def play(self, playbook: str, _title: str, names: dict[str, str], _reporter: Any) -> None:
        match playbook:
            case "rotation":
                for role in names["rotation_roles"].split(","):
                    self.effect()
                    self.run(role)
                    self.check()
            case "rotation-proof":
                self.effect()
                self.prove([path for path in names.get("proof_secrets", "").split(",") if path])
            case "renewal":
                self.certified += names.get("renewal_certificates", "").split(":")
                if "renewal_host_keys" in names:
                    self.effect()
                    self.host_signer = self.authorities(ssh.HOST_MOUNT)[0]
                for host in filter(None, names.get("renewal_logins", "").split(":")):
                    self.effect()
                    self.log_in(host, names["renewal_component"])

    def authorities(self, mount: str) -> list[str]:
        """The keys that the state folder trusts for people or for hosts."""
        file = AUTHORITY_FILE if mount == ssh.USER_MOUNT else KNOWN_HOSTS
        lines = (self.place.state / file).read_text().splitlines()
        return [" ".join(line.split()[-2:]) for line in lines]

    def signer(self) -> str:
        """Fingerprint of what signed the deploying account's certificate."""
        return signed_by((self.place.state / CERTIFICATE_FILE).read_text())

    def opens(self, _rotation: Rotation, *, newest: bool) -> None:
        self.effect()
        assert self.host_signer in self.authorities(ssh.HOST_MOUNT)
        if newest:
            assert self.host_signer == self.authorities(ssh.HOST_MOUNT)[0]
        self.check()

    def users_refused(self, rotation: Rotation) -> None:
        self.effect()
        with tempfile.TemporaryDirectory() as folder:
            public = ssh.new_key(Path(folder), "probe").with_name("id_ed25519.pub").read_text()
            made = ssh.sign(self.place, rotation.speaker, ssh.FORMER, public, self.place.deploy_user)
        assert signed_by(made) not in {fingerprint(key) for key in self.trusted}
        self.proved.append("ssh/users")

    def hosts_refused(self, rotation: Rotation) -> None:
        self.effect()
        old = issuers.retired(rotation.speaker, ssh.HOST_MOUNT)
        assert old
        assert old not in self.authorities(ssh.HOST_MOUNT)
        self.proved.append("ssh/hosts")

    def run(self, role: str) -> None:
        """What the role does with the accounts that it knows of, and with the authority of people."""
        if role == "hardening":
            self.trusted = self.authorities(ssh.USER_MOUNT)
        for secret in self.accounts:
            if role not in (secret.server, *secret.readers):
                continue
            values = self.values(secret.component)
            if role == secret.server:
                self.held[secret.path] = set(credentials.accepted(values, secret.component, secret.name))
            if role in secret.readers:
                self.used[role, secret.path] = credentials.account(values, secret.component, secret.name)

    def check(self) -> None:
        """No service is shut out, and whatever a server accepts can be found in OpenBao."""
        for (role, path), account in self.used.items():
            assert account in self.held[path], f"{role} cannot log in with {path}"
        assert self.signer() in {fingerprint(key) for key in self.trusted}, "the hosts are locked"
        assert self.host_signer in self.authorities(ssh.HOST_MOUNT), "no host is known"
        known = self.values("nova")
        for path in NAMES:
            assert {account.password for account in self.held[path]} <= {str(v) for v in known.values()}

    def prove(self, paths: list[str]) -> None:
        for path in paths:
            component, _slash, name = path.partition("/")
            values = self.values(component)
            used = credentials.account(values, component, name)
            assert used in self.held[path]
            for former in credentials.refused(values, component, name):
                old = Account(former, str(values[f"{name}_other"]))
                assert old not in self.held[path]
                assert old.name not in {account.name for account in self.held[path]}
            self.proved.append(path)

    def log_in(self, host: str, component: str) -> None:
        """A machine takes a SecretID, and uses it."""
        role = f"host-{host}" if component == "certificates" else f"service-{component}-{host}"
        asking = self.asking
        path = f"auth/approle/role/{role}"
        wrapped = asking.write_data(f"{path}/secret-id", data={}, wrap_ttl="60s")["wrap_info"]["token"]
        secret_id = client(self.place, self.place.nodes[0], wrapped).sys.unwrap()["data"]["secret_id"]
        role_id = asking.read(f"{path}/role-id")["data"]["role_id"]
        self.machines.setdefault(role, []).append(secret_id)
        assert accepts(self.place, role_id, secret_id)


def fingerprint(key: str) -> str:
    """Of a public key."""
    done = subprocess.run(["ssh-keygen", "-lf", "-"], input=key, capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def signed_by(certificate: str) -> str:
    """Fingerprint of the authority that a certificate names."""
    done = subprocess.run(
        ["ssh-keygen", "-Lf", "-"], input=certificate, capture_output=True, text=True, check=True
    )
    return next(line.split()[3] for line in done.stdout.splitlines() if "Signing CA" in line)


def accepts(place: Place, role_id: str, secret_id: str) -> bool:
    guest = client(place, place.nodes[0])
    answer = guest.adapter.session.post(
        f"{place.nodes[0].url}/v1/auth/approle/login",
        json={"role_id": role_id, "secret_id": secret_id},
        verify=guest.adapter._kwargs["verify"],
    )
    return bool(answer.status_code == 200)


@contextmanager
def prepared() -> Iterator[Place]:
    """The lab's site in a real OpenBao, with the deploying account's certificate."""
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, bare):
        made = replace(
            bare,
            site="lab",
            secrets=secrets_of(catalogue.load()),
            services=(ServiceLogin("barbican", "ctl1", "127.0.0.1"),),
        )
        vault.prepare(made)
        vault.ssh_certificate(made)
        patch.setattr(vault, "place_of", lambda *_given: made)
        yield made


def settled(values: dict[str, Any]) -> bool:
    return not [key for key in values if key.endswith(("_rotation", "_other"))]
