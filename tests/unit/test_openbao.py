"""OpenBao from the deploying machine, against a real server on the loopback (built if the cache has none)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from socle import durable, vault
from socle.errors import ExitCode, SocleError
from socle.vault import ceremony, custody, login, quorum, remote, snapshots
from socle.vault.api import client, plainly
from socle.vault.place import Place
from tests.unit.openbao_server import HOST, SECRETS, Server, begun


@pytest.fixture(scope="module")
def prepared() -> Iterator[Place]:
    """One server for the tests that only log in."""
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, place):
        vault.prepare(place)
        yield place


def root_token(place: Place) -> str:
    """A root token by quorum, as a ceremony makes it."""
    return quorum.generate(place, custody.shares_of(place), custody.ask(place, "test", "configure"))


def token(place: Place, role: str) -> Any:
    return client(place, place.nodes[0], login.token_of(place, role))


def refused(action: Any) -> bool:
    try:
        with plainly(PLACE_FOR_ERRORS):
            action()
    except SocleError as error:
        return "permission denied" in str(error) or "not allowed" in str(error)
    return False


PLACE_FOR_ERRORS = Place("probe", "", (), "", (), 1, 1, "shamir", "custodians", (), {})


def test_from_nothing_to_ready_once(place: Place) -> None:
    told: list[str] = []
    assert vault.prepare(place, told.append)
    assert len(told) == 4
    assert not vault.prepare(place, told.append), told
    assert set(custody.record(place)) == {"made", "shares"}, "the root token must be gone"
    assert len(custody.record(place)["shares"]) == 3
    for path in place.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert place.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize(
    "after_answer", [False, True], ids=["before the request", "before the shares are saved"]
)
def test_kill_while_initialising(place: Place, monkeypatch: pytest.MonkeyPatch, after_answer: bool) -> None:
    with monkeypatch.context() as patch:

        def killed(*_arguments: object) -> None:
            raise KeyboardInterrupt

        if after_answer:
            patch.setattr(durable, "write_json", killed)
        else:
            patch.setattr(ceremony, "_init_body", killed)
        with pytest.raises(KeyboardInterrupt):
            vault.prepare(place)
    assert vault.status(place)[0].initialised is after_answer
    assert vault.prepare(place)
    assert vault.secret(place, "deployer/identity")


def test_initialised_by_somebody_else_is_never_wiped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    client(place, place.nodes[0]).sys.initialize(1, 1)
    monkeypatch.setattr(remote, "reset", lambda *_a: pytest.fail("wiped"))
    with pytest.raises(SocleError, match="sealed") as caught:
        vault.prepare(place)
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert "\n" not in str(caught.value)


def test_refused_init_and_restore_leave_no_mark_by_which_openbao_is_wiped(
    place: Place, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SocleError, match="threshold must be greater"):
        vault.initialise(replace(place, threshold=1))
    assert not (place.folder / ceremony.PENDING).exists()
    vault.prepare(place)
    former = vault.secret(place, "deployer/identity")
    snapshots.take(place, tmp_path / "snap")
    shares = list(custody.played(place, custody.ask(place, "test", "test")))
    server.wipe()
    with monkeypatch.context() as patch:
        patch.setattr(ceremony, "client", killed)
        with pytest.raises(KeyboardInterrupt):
            vault.initialise(place)
    assert (place.folder / ceremony.PENDING).exists()
    snapshots.restore(place, tmp_path / "snap", lambda _asked: iter(shares), lambda _line: None)
    monkeypatch.setattr(remote, "reset", lambda *_a: pytest.fail("wiped"))
    assert not vault.initialise(place)
    assert vault.configure(place, lambda _asked: iter(shares))
    assert vault.secret(place, "deployer/identity") == former


def killed(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_restart_seals_and_prepare_unseals(place: Place, server: Server) -> None:
    vault.prepare(place)
    former = vault.secret(place, "deployer/identity")
    server.stop()
    with pytest.raises(SocleError, match="does not answer") as caught:
        vault.ansible_environment(place)
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    server.start()
    with pytest.raises(SocleError, match="OpenBao is sealed") as caught:
        vault.ansible_environment(place)
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert vault.prepare(place)
    assert vault.secret(place, "deployer/identity") == former


def test_wiped_server_is_set_up_anew_and_the_former_keys_are_kept(place: Place, server: Server) -> None:
    vault.prepare(place)
    former, shares = vault.secret(place, "deployer/identity"), custody.record(place)["shares"]
    server.wipe()
    assert vault.prepare(place)
    assert vault.secret(place, "deployer/identity") != former
    (kept,) = place.folder.glob("former-*")
    assert durable.read_json(kept / custody.RECORD)["shares"] == shares


def test_new_secret_leaves_the_others_as_they_are(prepared: Place) -> None:
    place = prepared
    former = vault.secret(place, "deployer/identity")
    more = replace(place, secrets={**SECRETS, "deployer": {**SECRETS["deployer"], "queue": "password"}})
    assert vault.ensure_secrets(more) == ("deployer/queue",)
    assert vault.secret(more, "deployer/identity") == former
    assert len(vault.secret(more, "deployer/queue")) == 32
    assert vault.ensure_secrets(more) == ()


def test_new_host_is_configured_by_quorum(place: Place) -> None:
    vault.prepare(place)
    second = replace(HOST, name="ctl2", certificates=(replace(HOST.certificates[0], names=("two.test",)),))
    assert vault.configure(replace(place, hosts=(HOST, second)))
    assert vault.configure(replace(place, hosts=(second,)))
    speaker = client(place, place.nodes[0], root_token(place))
    assert "host-ctl1" not in speaker.sys.list_acl_policies()["data"]["keys"]
    assert speaker.list("auth/approle/role")["data"]["keys"].count("host-ctl2") == 1
    speaker.auth.token.revoke_self()


def test_deployer_creates_secrets_and_reads_none(prepared: Place) -> None:
    place = prepared
    speaker = login.deployer(place)
    assert refused(lambda: speaker.read("kv/data/services/keystone"))
    assert refused(lambda: speaker.write_data("kv/data/services/other", data={"data": {}}))
    assert refused(lambda: speaker.write_data("auth/approle/role/ansible/secret-id", data={})), "only wrapped"
    assert refused(lambda: speaker.sys.create_or_update_acl_policy("deployer", "{}"))


def test_ansible_reads_secrets_and_changes_none(prepared: Place) -> None:
    place = prepared
    speaker = token(place, "ansible")
    assert speaker.read("kv/data/services/ceph")["data"]["data"]["fsid"]
    assert refused(lambda: speaker.write_data("kv/data/services/ceph", data={"data": {}}))
    assert refused(lambda: speaker.read("transit/keys/stack-one"))


def test_stacks_have_their_keys_and_only_the_administrators_password(prepared: Place) -> None:
    place = prepared
    assert vault.stack_key(place, "tenant-1") == "hashivault://stack-tenant-1"
    assert vault.stack_key(place, "tenant-1") == "hashivault://stack-tenant-1"
    speaker = vault.stacks_client(place)
    assert refused(lambda: speaker.read("kv/data/services/ceph"))
    assert refused(lambda: speaker.delete("transit/keys/stack-tenant-1"))


def request(*names: str) -> str:
    """A request for a certificate of these names, with a key that is thrown away."""
    command = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null"
    subject = ["-subj", "/CN=cloud.test", "-addext", "subjectAltName=" + ",".join(names)]
    return subprocess.run([*command.split(), *subject], capture_output=True, text=True, check=True).stdout


def test_host_is_certified_for_its_own_names_only(prepared: Place) -> None:
    place = prepared
    speaker = client(place, place.nodes[0], root_token(place))
    secret = speaker.write_data("auth/approle/role/host-ctl1/secret-id", data={})["data"]["secret_id"]
    role = speaker.read("auth/approle/role/host-ctl1/role-id")["data"]["role_id"]
    speaker.auth.token.revoke_self()
    host = client(place, place.nodes[0])
    host.auth.approle.login(role, secret)
    sign = "pki_services/sign/host-ctl1"
    csr = request("DNS:other.test", "IP:10.0.0.9")
    own = {
        "csr": csr,
        "alt_names": "cloud.test",
        "ip_sans": ",".join(place.hosts[0].certificates[0].addresses),
    }
    signed = x509.load_pem_x509_certificate(host.write_data(sign, data=own)["data"]["certificate"].encode())
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cloud.test"]
    assert ",".join(map(str, names.get_values_for_type(x509.IPAddress))) == own["ip_sans"]
    for more in (
        {"alt_names": "other.test"},
        {"ip_sans": "10.0.0.9"},
        {"ip_sans": f"{own['ip_sans']},10.0.0.9"},
        {"ip_sans": [own["ip_sans"], "10.0.0.9"]},
        {"other_sans": "1.2.3;utf8:x"},
    ):
        assert refused(lambda more=more: host.write_data(sign, data={**own, **more})), more
    assert refused(lambda: host.write_data("pki_services/sign/host-ctl2", data=own))
    assert refused(lambda: host.read("kv/data/services/keystone"))
