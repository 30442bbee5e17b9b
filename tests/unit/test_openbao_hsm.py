"""OpenBao that unseals itself by PKCS#11, with SoftHSM in the place of an HSM (Debian's, in a folder)."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from socle import vault
from socle.vault import custody, quorum, snapshots
from socle.vault.api import client
from socle.vault.place import Place
from socle.vault.seal import wait
from tests.unit.openbao_server import Server, begun, short_folder

pytestmark = pytest.mark.slow
PACKAGES = ("softhsm2", "libsofthsm2", "softhsm2-common")
PIN = "31415926"


@dataclass(frozen=True)
class SoftHsm:
    """A token with an AES key."""

    folder: Path

    @property
    def library(self) -> Path:
        return self.folder / "usr/lib/softhsm/libsofthsm2.so"

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def make(self) -> None:
        self.folder.joinpath("tokens").mkdir()
        self.folder.joinpath("softhsm2.conf").write_text(f"directories.tokendir = {self.folder}/tokens\n")
        # softhsm2-util reads a key as a line of text: a zero byte or a newline among 32 would cut it short.
        self.folder.joinpath("key").write_text(secrets.token_hex(16))
        self._util("--init-token", "--free", "--label", "socle", "--so-pin", PIN)
        words = ["--aes", "--token", "socle", "--label", "seal", "--id", "01"]
        self._util("--import", str(self.folder / "key"), *words)

    def _util(self, *words: str) -> None:
        program = self.folder / "usr/bin/softhsm2-util"
        command = [str(program), "--module", str(self.library), *words, "--pin", PIN]
        subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, check=True)


@pytest.fixture(scope="module")
def hsm() -> Iterator[SoftHsm]:
    with short_folder() as folder:
        folder.chmod(0o755)
        subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=folder, capture_output=True, check=True)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
        made = SoftHsm(folder)
        made.make()
        yield made


@pytest.fixture
def sealed_by_hsm(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Place]]:
    with begun(monkeypatch) as (server, bare):
        server.stop()
        server.program = "bao-hsm"
        server.environment = {**hsm.environment, "BAO_HSM_PIN": PIN}
        server.seal = f"""seal "pkcs11" {{
          lib = "{hsm.library}"  token_label = "socle"  key_label = "seal"  mechanism = "CKM_AES_GCM"
        }}"""
        server.configure()
        server.start()
        yield server, replace(bare, seal="pkcs11")


def test_it_opens_itself_and_the_custodians_are_the_quorum(
    sealed_by_hsm: tuple[Server, Place], hsm: SoftHsm
) -> None:
    server, place = sealed_by_hsm
    assert vault.prepare(place)
    former = vault.secret(place, "deployer/identity")
    assert not vault.prepare(place)
    server.restart()
    wait(place, lambda states: all(state.active for state in states))
    assert vault.secret(place, "deployer/identity") == former
    before = custody.record(place)["shares"]
    vault.rekey(place, custody.shares_of(place), custody.shares_of(place), lambda _line: None)
    assert custody.record(place)["shares"] != before
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        assert speaker.is_authenticated()
    assert PIN not in (server.folder / "bao.hcl").read_text()
    hsm.folder.joinpath("tokens").rename(hsm.folder / "gone")
    try:
        server.stop()
        with pytest.raises(AssertionError):
            server.start()
    finally:
        hsm.folder.joinpath("gone").rename(hsm.folder / "tokens")
        server.stop()
        server.start()


def test_a_snapshot_is_restored_with_the_same_hsm(
    sealed_by_hsm: tuple[Server, Place], tmp_path: Path
) -> None:
    server, place = sealed_by_hsm
    vault.prepare(place)
    former = vault.secret(place, "deployer/identity")
    snapshots.take(place, tmp_path / "snap")
    server.wipe()
    snapshots.restore(place, tmp_path / "snap", None, lambda _line: None)
    wait(place, lambda states: all(state.active for state in states))
    assert vault.secret(place, "deployer/identity") == former
    assert client(place, place.nodes[0]).sys.read_seal_status()["type"] == "pkcs11"
