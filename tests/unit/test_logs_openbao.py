"""Seals signed by a real OpenBao, by a host that may sign with this one key and do nothing else with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hvac
import pytest

from socle.logs import sealing
from socle.logs.asking import checker
from socle.logs.chain import judge
from socle.logs.store import NodeLog
from socle.vault.place import CertifiedHost
from socle.vault.policies import of_host, text
from tests.unit.development_openbao import running

STORE = CertifiedHost("sec1", "127.0.0.1", (), seals_logs=True)
OTHER = CertifiedHost("ctl1", "127.0.0.1", ())


@dataclass(frozen=True)
class Bao:
    """A server for development, with the policies and logins of two hosts."""

    folder: Path
    root: Any
    settings: dict[str, Any]

    def login(self, host: CertifiedHost) -> Path:
        return self.folder / f"{host.role}.json"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    folder = tmp_path_factory.mktemp("bao")
    with running(folder) as server:
        _prepare(server.root, folder)
        settings = {"openbao": ["https://127.0.0.1:1", server.url], "trust": str(server.trust)}
        yield Bao(folder, server.root, settings)


def _prepare(root: Any, folder: Path) -> None:
    root.sys.enable_auth_method("approle")
    for host in (STORE, OTHER):
        root.sys.create_or_update_acl_policy(host.role, text(of_host(host)))
        path = f"auth/approle/role/{host.role}"
        root.write_data(path, data={"token_policies": [host.role], "token_ttl": "5m"})
        login = {
            "role_id": root.read(f"{path}/role-id")["data"]["role_id"],
            "secret_id": root.write_data(f"{path}/secret-id", data={})["data"]["secret_id"],
        }
        (folder / f"{host.role}.json").write_text(json.dumps(login))


def test_what_a_host_seals_is_verified_with_the_public_key(
    bao: Bao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "LOGIN", bao.login(STORE))
    now = datetime.now(UTC)
    for number in range(2):
        NodeLog(tmp_path / "cmp1").append([{"MESSAGE": f"{number}"}])
        assert sealing.seal(tmp_path, sealing.openbao_signer(bao.settings), now) > 0
    key = bao.root.read(f"transit/keys/{sealing.KEY}")["data"]
    assert key["type"] == "ecdsa-p384"
    assert not key["exportable"]
    signed = checker({version: held["public_key"] for version, held in key["keys"].items()})
    measured = sealing.measure(tmp_path)
    every = timedelta(minutes=15)
    assert judge(measured, signed, now=now, keep_until="2026-01-01", every=every, seen=None) == []
    assert not signed(json.loads(measured.seals[0])["signature"], b"something else")


def test_a_host_that_keeps_no_logs_signs_nothing(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "LOGIN", bao.login(OTHER))
    with pytest.raises(sealing.SealingError, match="403"):
        sealing.openbao_signer(bao.settings)(b"text")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("delete", f"transit/keys/{sealing.KEY}"),
        ("write", f"transit/keys/{sealing.KEY}/config"),
        ("write", f"transit/keys/{sealing.KEY}/rotate"),
        ("read", f"transit/export/signing-key/{sealing.KEY}"),
        ("write", "transit/keys/another"),
    ],
)
def test_the_host_may_do_nothing_else_with_the_key(bao: Bao, verb: str, path: str) -> None:
    login = json.loads(bao.login(STORE).read_text())
    host = hvac.Client(bao.root.url, verify=bao.settings["trust"])
    host.auth.approle.login(**login)
    with pytest.raises(hvac.exceptions.Forbidden):
        getattr(host, verb)(path)
