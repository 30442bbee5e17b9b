"""A real OpenBao on the loopback with the tenants' mount, its policies and Barbican's login."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac

from socle.vault import configuration, policies, tenant_keys
from socle.vault.place import Place, ServiceLogin, VaultNode
from socle_barbican import login
from socle_barbican.transit import Settings
from tests.unit.test_openbao import Server

BARBICAN = ServiceLogin("barbican", "ctl1", "127.0.0.1")
ONE, TWO = "t-0123456789ab.aaaa0001", "t-ba9876543210.bbbb0002"
SECRET = b"volume key of sixty-four bytes: 0123456789abcdef0123456789abcdef"


@dataclass
class Vault:
    """An OpenBao that is configured as a site's, with what a test needs to look into it."""

    server: Server
    place: Place
    root: Any
    unseal_key: str
    login_file: Path

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.place.nodes[0].url,)

    @property
    def settings(self) -> Settings:
        ca = str(self.server.folder / "crt")
        return Settings(self.addresses, ca, str(self.login_file), tenant_keys.MOUNT, 3.0)

    def speaker(self, token: str) -> Any:
        return hvac.Client(url=self.addresses[0], token=token, verify=str(self.server.folder / "crt"))

    def token_of(self, role: str, **more: Any) -> Any:
        """A client that is logged in by an AppRole."""
        self.root.write_data(
            f"auth/approle/role/{role}", data={**policies.approles(self.place)[role], **more}
        )
        role_id = self.root.read(f"auth/approle/role/{role}/role-id")["data"]["role_id"]
        secret = self.root.write_data(f"auth/approle/role/{role}/secret-id", data={})["data"]["secret_id"]
        made = self.speaker("")
        made.auth.approle.login(role_id, secret)
        return made

    def audit(self) -> str:
        return self.server.folder.joinpath("file.log").read_text()


@contextmanager
def tenant_vault(folder: Path) -> Iterator[Vault]:
    """An OpenBao in a folder, until the end of the block."""
    server = Server(folder)
    server.configure()
    server.start()
    try:
        place = Place(
            site="probe",
            title="Probe",
            nodes=(VaultNode("one", "127.0.0.1", server.port),),
            deploy_user="socle",
            deployers=("127.0.0.1",),
            shares=1,
            threshold=1,
            seal="shamir",
            custody="local",
            hosts=(),
            secrets={},
            services=(BARBICAN,),
        )
        root = hvac.Client(url=place.nodes[0].url, verify=str(folder / "crt"))
        answer = root.sys.initialize(1, 1)
        root.sys.submit_unseal_key(answer["keys_base64"][0])
        root.token = answer["root_token"]
        made = Vault(server, place, root, answer["keys_base64"][0], folder / "login" / "openbao.json")
        wait_until_active(made)
        configuration._mounts(root)
        configuration._policies(root, place, configuration.OF_HOSTS)
        configuration._approles(root, place, configuration.OF_HOSTS)
        made.login_file.parent.mkdir()
        give_login(made)
        yield made
    finally:
        server.stop()


def wait_until_active(vault: Vault) -> None:
    end = time.monotonic() + 20
    while not isinstance(vault.root.sys.read_health_status(method="GET"), dict):
        assert time.monotonic() < end
        time.sleep(0.1)


def give_login(vault: Vault, **role: Any) -> None:
    """A wrapped login, opened and kept by the program that the controllers run."""
    path = f"auth/approle/role/{BARBICAN.role}"
    vault.root.write_data(path, data={**policies.approles(vault.place)[BARBICAN.role], **role})
    role_id = vault.root.read(f"{path}/role-id")["data"]["role_id"]
    wrapped = vault.root.write_data(f"{path}/secret-id", data={}, wrap_ttl="60s")["wrap_info"]["token"]
    given = {
        "role_id": role_id,
        "wrapping_token": wrapped,
        "trust": vault.server.folder.joinpath("crt").read_text(),
    }
    login.take(str(vault.login_file), vault.addresses, io.StringIO(json.dumps(given)))
