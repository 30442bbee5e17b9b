"""Holes of OpenBao that the role's listener closes, each shown open without the setting, on a real server."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hvac.exceptions import Forbidden, InvalidRequest

from socle import vault
from socle.vault import custody, login, quorum, snapshots
from socle.vault.api import client
from socle.vault.place import Place
from socle.vault.trust import trust_file
from tests.unit.openbao_server import LIMITS, Server, begun

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def prepared() -> Iterator[Place]:
    """One server for the tests that change nothing."""
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, place):
        vault.prepare(place)
        yield place


@pytest.fixture
def open_place(place: Place, server: Server) -> Iterator[Place]:
    """The same server without the settings of the role's listener."""
    server.stop()
    server.limits = []
    server.configure()
    server.start()
    return place


def anonymous(place: Place, method: str, path: str, body: str | None = None) -> requests.Response:
    """A request of somebody who reaches the port and has no login."""
    trust = trust_file(place)
    return requests.request(
        method, f"{place.nodes[0].url}/v1/{path}", data=body, verify=str(trust), timeout=30
    )


def nested(size: int) -> str:
    """JSON that takes far more memory than its length."""
    return json.dumps({"a": [{}] * (size // 4)})


def test_the_role_sets_what_is_tested_here() -> None:
    assert {line.split()[0] for line in LIMITS} == {
        "disable_unauthed_rekey_endpoints",
        "max_request_size",
        "max_request_duration",
    }


@pytest.mark.parametrize("endpoint", ["rekey", "rekey-recovery-key"])
@pytest.mark.parametrize(("method", "step"), [("DELETE", "init"), ("GET", "init"), ("PUT", "update")])
def test_nobody_touches_a_rekey_without_a_login(
    prepared: Place, endpoint: str, method: str, step: str
) -> None:
    body = json.dumps({"key": "ab" * 33, "nonce": "x"}) if method == "PUT" else None
    assert anonymous(prepared, method, f"sys/{endpoint}/{step}", body).status_code in {400, 403, 404, 405}
    rotation = {"rekey": "root"}.get(endpoint, "recovery")
    assert anonymous(prepared, method, f"sys/rotate/{rotation}/{step}", body).status_code == 403


def test_a_rekey_is_cancelled_by_anybody_where_the_endpoints_are_open(open_place: Place) -> None:
    vault.prepare(open_place)
    wanted = json.dumps({"secret_shares": 1, "secret_threshold": 1})
    assert anonymous(open_place, "PUT", "sys/rekey/init", wanted).status_code == 200
    assert anonymous(open_place, "DELETE", "sys/rekey/init").status_code == 204


def test_a_rekey_goes_on_while_somebody_without_a_login_cancels(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.prepare(place)
    former = custody.record(place)["shares"]
    shares = custody.shares_of(place)

    def disturbed(asked: custody.Ask) -> Iterator[str]:
        for share in shares(asked):
            for path in ("rekey", "rotate/root"):
                assert not anonymous(place, "DELETE", f"sys/{path}/init").ok
            yield share

    vault.rekey(place, disturbed, disturbed, lambda _line: None)
    assert custody.record(place)["shares"] != former
    with quorum.root(place, shares, "test") as speaker:
        assert speaker.is_authenticated()


@pytest.mark.parametrize("role", ["ansible", "stacks", "snapshot"])
def test_other_machines_logins_begin_no_rekey(prepared: Place, role: str) -> None:
    speaker = client(prepared, prepared.nodes[0], login.token_of(prepared, role))
    with pytest.raises(Forbidden):
        speaker.adapter.delete("/v1/sys/rotate/root/init")


def test_what_is_long_is_not_parsed(prepared: Place) -> None:
    assert "missing role_id" in anonymous(prepared, "PUT", "auth/approle/login", nested(MIB // 2)).text
    assert anonymous(prepared, "PUT", "auth/approle/login", nested(2 * MIB)).status_code == 413


def test_what_is_long_is_parsed_where_there_is_no_limit(open_place: Place) -> None:
    vault.prepare(open_place)
    assert "missing role_id" in anonymous(open_place, "PUT", "auth/approle/login", nested(2 * MIB)).text


def test_a_snapshot_that_is_longer_is_restored(place: Place, server: Server, tmp_path: Path) -> None:
    vault.prepare(place)
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        for number in range(4):
            content = {"data": {"text": secrets.token_hex(MIB // 4)}}
            speaker.write_data(f"kv/data/tenants/{number}", data=content)
    assert snapshots.take(place, tmp_path / "snap") > MIB
    former = vault.secret(place, "deployer/identity")
    server.wipe()
    snapshots.restore(place, tmp_path / "snap", custody.shares_of(place), lambda _line: None)
    assert vault.secret(place, "deployer/identity") == former


def test_a_root_token_makes_no_audit_device_and_reads_no_raw_storage(prepared: Place) -> None:
    """CVE-2025-54997: a device writes where told. CVE-2025-62705: raw reads are recorded in clear."""
    device = {"type": "file", "options": {"file_path": "/tmp/other"}}
    with quorum.root(prepared, custody.shares_of(prepared), "test") as speaker:
        with pytest.raises(InvalidRequest, match="audit"):
            speaker.write_data("sys/audit/other", data=device)
        assert speaker.read("sys/raw/core/seal-config") is None
        with pytest.raises(InvalidRequest, match="introspection_endpoint"):
            speaker.read("sys/internal/inspect/router/root")
