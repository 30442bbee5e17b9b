"""One transit key for each tenant: Barbican's plugin against a real OpenBao on the loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import hvac
import pytest

from socle.cli.app import run
from socle.errors import ExitCode, SocleError
from socle.vault import tenant_keys
from socle_barbican import login
from socle_barbican.api import RefusedError, UnavailableError
from socle_barbican.transit import KeyGoneError, NotItsOwnError, Settings, Transit
from stacks.tenant.plan import domain_name
from tests.unit.tenant_vault import (
    BARBICAN,
    ONE,
    SECRET,
    TWO,
    Vault,
    give_login,
    tenant_vault,
    wait_until_active,
)
from tests.unit.test_openbao import Server


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    with tenant_vault(tmp_path_factory.mktemp("tenants")) as made:
        yield made


@pytest.fixture
def transit(vault: Vault) -> Transit:
    return Transit(vault.settings)


def test_two_tenants_have_each_their_key(transit: Transit, vault: Vault) -> None:
    wrapped = {}
    for name in (ONE, TWO):
        transit.ensure_key(name)
        transit.ensure_key(name)
        wrapped[name] = transit.encrypt(name, SECRET, f"project:{name}")
        assert SECRET not in wrapped[name]
        assert wrapped[name].startswith(b"vault:v1:")
        assert transit.decrypt(name, wrapped[name], f"project:{name}") == SECRET
    with pytest.raises(NotItsOwnError):
        transit.decrypt(TWO, wrapped[ONE], f"project:{ONE}")
    with pytest.raises(NotItsOwnError):
        transit.decrypt(ONE, wrapped[ONE], f"project:{TWO}")
    assert f'"{tenant_keys.MOUNT}/decrypt/{ONE}"' in vault.audit(), "the audit log says whose key was used"
    assert SECRET.decode() not in vault.audit()


def test_the_key_cannot_leave_openbao(transit: Transit, vault: Vault) -> None:
    transit.ensure_key(ONE)
    key = vault.root.read(f"{tenant_keys.MOUNT}/keys/{ONE}")["data"]
    assert (key["type"], key["exportable"], key["allow_plaintext_backup"]) == ("aes256-gcm96", False, False)
    assert not key["deletion_allowed"]
    with pytest.raises(hvac.exceptions.InvalidRequest):
        vault.root.read(f"{tenant_keys.MOUNT}/export/encryption-key/{ONE}")


def test_barbican_may_use_keys_and_nothing_else(vault: Vault) -> None:
    barbican = vault.token_of(BARBICAN.role)
    mount = tenant_keys.MOUNT
    for action in (
        lambda: barbican.write_data(f"{mount}/keys/{ONE}/config", data={"deletion_allowed": True}),
        lambda: barbican.write_data(f"{mount}/keys/new.x", data={"type": "aes256-gcm96", "exportable": True}),
        lambda: barbican.delete(f"{mount}/keys/{ONE}"),
        lambda: barbican.read(f"{mount}/export/encryption-key/{ONE}"),
        lambda: barbican.list(f"{mount}/keys"),
        lambda: barbican.read("kv/data/services/keystone"),
        lambda: barbican.read("transit/keys/stack-one"),
    ):
        with pytest.raises(hvac.exceptions.Forbidden):
            action()


def test_the_erasure_may_delete_keys_and_use_none(transit: Transit, vault: Vault) -> None:
    transit.ensure_key(ONE)
    wrapped = transit.encrypt(ONE, SECRET, "project:one").decode()
    eraser = vault.token_of(tenant_keys.ERASER)
    for action in (
        lambda: eraser.write_data(f"{tenant_keys.MOUNT}/decrypt/{ONE}", data={"ciphertext": wrapped}),
        lambda: eraser.write_data(f"{tenant_keys.MOUNT}/keys/{ONE}/config", data={"exportable": True}),
        lambda: eraser.read(f"{tenant_keys.MOUNT}/keys/{ONE}"),
        lambda: eraser.write_data(f"{tenant_keys.MOUNT}/keys/{ONE}", data={"type": "aes256-gcm96"}),
    ):
        with pytest.raises(hvac.exceptions.Forbidden):
            action()


def test_deleted_key_kills_one_tenant_and_leaves_the_other(transit: Transit, vault: Vault) -> None:
    third = "t-333333333333.cccc0003"
    kept = {
        name: (transit.ensure_key(name), transit.encrypt(name, SECRET, "project:p"))[1]
        for name in (third, TWO)
    }
    eraser = vault.token_of(tenant_keys.ERASER)
    assert tenant_keys.erase(vault.place, eraser, "t-333333333333") == (third,)
    assert tenant_keys.erase(vault.place, eraser, "t-333333333333") == ()
    with pytest.raises(KeyGoneError, match="was deleted"):
        transit.decrypt(third, kept[third], "project:p")
    with pytest.raises(KeyGoneError, match="was deleted"):
        transit.encrypt(third, SECRET, "project:p")
    assert vault.root.read(f"{tenant_keys.MOUNT}/keys/{third}") is None, "encrypting makes no new key"
    assert transit.decrypt(TWO, kept[TWO], "project:p") == SECRET
    # A new key of the same name opens nothing of the former.
    transit.ensure_key(third)
    with pytest.raises(NotItsOwnError):
        transit.decrypt(third, kept[third], "project:p")


def test_erasure_that_was_killed_is_finished_by_the_next(
    transit: Transit, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "t-444444444444.dddd0004"
    transit.ensure_key(name)
    wrapped = transit.encrypt(name, SECRET, "project:p")
    eraser = vault.token_of(tenant_keys.ERASER)

    def killed(_path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(eraser, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            tenant_keys.erase(vault.place, eraser, "t-444444444444")
    assert transit.decrypt(name, wrapped, "project:p") == SECRET
    assert tenant_keys.erase(vault.place, eraser, "t-444444444444") == (name,)
    with pytest.raises(KeyGoneError):
        transit.decrypt(name, wrapped, "project:p")


def test_erasure_names_no_tenant_by_half(transit: Transit, vault: Vault) -> None:
    transit.ensure_key(ONE)
    assert tenant_keys.erase(vault.place, vault.token_of(tenant_keys.ERASER), ONE[:8]) == ()


def test_restarted_plugin_opens_what_the_former_wrapped(transit: Transit, vault: Vault) -> None:
    transit.ensure_key(ONE)
    wrapped = transit.encrypt(ONE, SECRET, "project:p")
    assert Transit(vault.settings).decrypt(ONE, wrapped, "project:p") == SECRET


def test_revoked_token_is_replaced(transit: Transit, vault: Vault) -> None:
    transit.ensure_key(ONE)
    former = transit._current()
    vault.root.auth.token.revoke(former.text)
    wrapped = transit.encrypt(ONE, SECRET, "project:p")
    assert transit.decrypt(ONE, wrapped, "project:p") == SECRET
    assert transit._current().text != former.text


def test_token_is_renewed_and_replaced_at_the_end_of_its_life(vault: Vault) -> None:
    give_login(vault, token_ttl="2s", token_max_ttl="4s")
    try:
        transit = Transit(vault.settings)
        transit.ensure_key(ONE)
        first = transit._current()
        time.sleep(1.5)
        second = transit._current()
        assert second.text == first.text, "renewed after two thirds of its life"
        assert second.ends_at > first.ends_at
        time.sleep(3)
        wrapped = transit.encrypt(ONE, SECRET, "project:p")
        assert transit._current().text != first.text, "its last term is over"
        assert transit.decrypt(ONE, wrapped, "project:p") == SECRET
    finally:
        give_login(vault)


def test_sealed_or_dead_openbao_is_said_and_loses_nothing(transit: Transit, vault: Vault) -> None:
    transit.ensure_key(ONE)
    wrapped = transit.encrypt(ONE, SECRET, "project:p")
    vault.root.sys.seal()
    for action in (lambda: transit.decrypt(ONE, wrapped, "project:p"), lambda: transit.ensure_key("t-5.e")):
        with pytest.raises(UnavailableError, match="sealed"):
            action()
    vault.server.stop()
    with pytest.raises(UnavailableError, match="Connection refused"):
        transit.decrypt(ONE, wrapped, "project:p")
    vault.server.start()
    with pytest.raises(UnavailableError, match="sealed"):
        Transit(vault.settings).decrypt(ONE, wrapped, "project:p")
    vault.root.sys.submit_unseal_key(vault.unseal_key)
    wait_until_active(vault)
    assert transit.decrypt(ONE, wrapped, "project:p") == SECRET


def test_second_node_answers_for_the_first(vault: Vault) -> None:
    more = ("https://127.0.0.1:1", *vault.addresses)
    settings = Settings(
        more, *(getattr(vault.settings, n) for n in ("ca_file", "login_file", "mount", "timeout"))
    )
    Transit(settings).ensure_key(ONE)


@pytest.mark.parametrize("content", [None, "{}", "not JSON", '{"role_id": "x", "secret_id": "y"}'])
def test_login_that_is_none_is_told_by_its_exit_status(
    vault: Vault, tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "login.json"
    if content is not None:
        file.write_text(content)
    arguments = [str(file), vault.settings.ca_file, *vault.addresses]
    assert login.main(arguments) == login.NO_LOGIN
    assert capsys.readouterr().err.count("\n") == 1
    assert login.main([str(vault.login_file), vault.settings.ca_file, *vault.addresses]) == login.GOOD
    assert login.main([str(vault.login_file), vault.settings.ca_file, "https://127.0.0.1:1"]) == login.FAILED


def test_login_is_readable_by_barbican_only(vault: Vault) -> None:
    assert vault.login_file.stat().st_mode & 0o777 == 0o640


def test_untrusted_openbao_is_not_spoken_to(vault: Vault, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = Server(folder)
    settings = Settings(vault.addresses, str(other.folder / "crt"), str(vault.login_file), "tenants", 3.0)
    with pytest.raises(UnavailableError, match="not to be trusted"):
        Transit(settings).ensure_key(ONE)


def test_refusal_names_the_path_and_no_secret(vault: Vault) -> None:
    transit = Transit(
        Settings(*(getattr(vault.settings, n) for n in ("addresses", "ca_file", "login_file")), "kv", 3.0)
    )
    with pytest.raises(RefusedError, match="kv/keys/") as caught:
        transit.ensure_key(ONE)
    assert "\n" not in str(caught.value)


def test_erasure_says_when_openbao_refuses(vault: Vault) -> None:
    with pytest.raises(SocleError, match="permission denied"):
        tenant_keys.erase(vault.place, vault.token_of(BARBICAN.role), "t-1")


def test_the_command_erases_the_tenant_that_was_named(
    transit: Transit, vault: Vault, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    siren, other = "210000014", "210000022"
    names = {s: f"{domain_name(s)}.f00d" for s in (siren, other)}
    kept = {s: (transit.ensure_key(n), transit.encrypt(n, SECRET, "project:p"))[1] for s, n in names.items()}
    eraser = vault.token_of(tenant_keys.ERASER)
    monkeypatch.setattr("socle.vault.eraser_client", lambda _place: eraser)
    monkeypatch.setattr("socle.vault.place_of", lambda _site, _catalogue: vault.place)
    assert run(["tenant", "erase-keys", siren]) == ExitCode.USAGE
    assert transit.decrypt(names[siren], kept[siren], "project:p") == SECRET
    assert run(["tenant", "erase-keys", siren, "--yes-erase", siren]) == 0
    assert names[siren] in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(KeyGoneError):
        transit.decrypt(names[siren], kept[siren], "project:p")
    assert transit.decrypt(names[other], kept[other], "project:p") == SECRET
    assert run(["tenant", "erase-keys", siren, "--yes-erase", siren]) == 0
    assert "has no key" in capsys.readouterr().out
