"""A real OpenBao on the loopback (built if the cache has none), and a site's place for it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from socle.catalogue.host_certificates import HostCertificate
from socle.paths import project_root
from socle.tools import binary
from socle.vault import remote
from socle.vault.place import CertifiedHost, Custodian, Place, VaultNode

HOST = CertifiedHost(
    "ctl1", "127.0.0.1", (HostCertificate("endpoints", "haproxy", "haproxy", ("cloud.test",), ("10.0.0.1",)),)
)
SECRETS = {
    "deployer": {"identity": "password"},
    "keystone": {"fernet_0": "fernet"},
    "ceph": {"fsid": "uuid", "mon": "cephx"},
}
TEMPLATE = project_root() / "roles/openbao/templates/etc/openbao/openbao.hcl.j2"
LIMITS = re.findall(r"^  (?:disable|max)_\w+ += \S+$", TEMPLATE.read_text("utf-8"), re.MULTILINE)
"""What the listener of the role refuses: every test runs with it."""
CUSTODIANS = tuple(
    Custodian(f"{name}.test", name.title(), f"{name}@gip.example") for name in ("ann", "bob", "cid")
)


class Server:
    """A server of OpenBao on a free port of the loopback, with its storage in a folder."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.folder, self.address = folder, address
        self.audits: tuple[Path, ...] = ()
        self.program, self.seal = "bao", ""
        self.environment: dict[str, str] = {}
        self.limits = LIMITS
        with socket.socket() as free:
            free.bind((address, 0))
            self.port: int = free.getsockname()[1]
        self._certificate()

    def configure(self, *peers: Server) -> None:
        """Write the configuration; the peers are whom it joins."""
        folder, here = self.folder, self.address
        join = 'retry_join {{ leader_api_addr = "https://{0.address}:{0.port}" {1} }}'
        trust = 'leader_ca_cert_file = "{0.folder}/crt"'
        devices = "\n".join(
            f'audit "file" "{path.stem}" {{\n  options {{\n    file_path = "{path}"\n  }}\n}}'
            for path in self.audits or (folder / "file.log",)
        )
        joins = "\n".join(join.format(peer, trust.format(peer)) for peer in peers)
        folder.joinpath("bao.hcl").write_text(f"""
            api_addr = "https://{here}:{self.port}"
            cluster_addr = "https://{here}:{self.port + 1}"
            storage "raft" {{ path = "{folder}/data"  node_id = "{here}"  performance_multiplier = 1
{joins} }}
            listener "tcp" {{
              address = "{here}:{self.port}"
              cluster_address = "{here}:{self.port + 1}"
              tls_cert_file = "{folder}/crt"
              tls_key_file = "{folder}/key"
{"\n".join(self.limits)}
            }}
{devices}
{self.seal}
""")

    def _certificate(self) -> None:
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test"
        )
        files = ["-addext", f"subjectAltName=IP:{self.address}", "-keyout", "key", "-out", "crt"]
        subprocess.run([*command.split(), *files], cwd=self.folder, check=True, capture_output=True)

    def start(self) -> None:
        self.folder.joinpath("data").mkdir(exist_ok=True)
        with self.folder.joinpath("log").open("ab") as log:
            command = [binary(self.program), "server", f"-config={self.folder}/bao.hcl"]
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=environment)
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((self.address, self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, self.folder.joinpath("log").read_text()
                assert time.monotonic() < end, self.folder.joinpath("log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def wipe(self) -> None:
        self.stop()
        subprocess.run(["rm", "-rf", str(self.folder / "data")], check=True)
        self.start()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket."""
    folder = Path(tempfile.mkdtemp(prefix="bao-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def begun(patch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Place]]:
    """A server that runs, and its place, until the end of the block."""
    with short_folder() as folder:
        server, place = begin(folder, patch)
        try:
            yield server, place
        finally:
            server.stop()


def begin(folder: Path, patch: pytest.MonkeyPatch) -> tuple[Server, Place]:
    """A new server, and a place whose state is in the folder; what goes by SSH is done here."""
    folder.joinpath("server").mkdir()
    made = Server(folder / "server")
    made.configure()
    made.start()
    patch.setenv("SOCLE_STATE", str(folder / "state"))
    certificate = made.folder.joinpath("crt").read_text()
    patch.setattr(remote, "bootstrap_certificate", lambda _place, _node: certificate)
    patch.setattr(remote, "reset", lambda _place, _node: made.wipe())
    patch.setattr(remote, "restart", lambda _place, _node: made.restart())
    return made, Place(
        site="probe",
        title="Probe",
        nodes=(VaultNode("one", "127.0.0.1", made.port),),
        deploy_user="socle",
        deployers=("127.0.0.1",),
        shares=3,
        threshold=2,
        seal="shamir",
        custody="test-custodians",
        hosts=(HOST,),
        secrets=SECRETS,
        custodians=CUSTODIANS,
    )
