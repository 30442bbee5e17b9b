"""One transit key for each tenant: Barbican's plugin against a real OpenBao on the loopback."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hvac
import pytest

from socle.errors import SocleError
from socle.vault import configuration, policies, tenant_keys
from socle.vault.place import Place, ServiceLogin, VaultNode
from socle_barbican import login
from socle_barbican.api import RefusedError, UnavailableError
from socle_barbican.transit import KeyGoneError, NotItsOwnError, Settings, Transit
from tests.unit import barbican_interface
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
        return self.server.folder.joinpath("audit.log").read_text()


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    folder = tmp_path_factory.mktemp("tenants")
    server = Server(folder)
    server.configure()
    server.start()
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
    configuration._policies(root, place)
    configuration._approles(root, place)
    made.login_file.parent.mkdir()
    give_login(made)
    yield made
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


@pytest.fixture
def barbican(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The plugin as Barbican loads it: ``plugin``, its module, and ``request``, who calls."""
    current = barbican_interface.install(monkeypatch)
    module = import_module("socle_barbican.plugin")
    made = vault.settings
    own = SimpleNamespace(
        addresses=list(made.addresses),
        ca_file=made.ca_file,
        login_file=made.login_file,
        mount=made.mount,
        timeout=made.timeout,
    )
    current.module, current.plugin = module, module.TransitCrypto(SimpleNamespace(socle_transit=own))
    return current


def call_from(barbican: SimpleNamespace, project: str, domain: str, identity: str) -> Any:
    """A project's first request, which binds its key."""
    barbican.request = SimpleNamespace(
        project_id=project, project_domain_id=identity, project_domain_name=domain
    )
    return barbican.plugin.bind_kek_metadata(barbican_interface.kek(project))


def test_projects_of_one_domain_share_its_key_and_not_their_secrets(barbican: SimpleNamespace) -> None:
    keys = {p: call_from(barbican, p, "t-0123456789ab", "aaaa0001") for p in ("prod", "test")}
    assert {key.plugin_meta for key in keys.values()} == {ONE}
    wrapped = barbican.plugin.encrypt(SimpleNamespace(unencrypted=SECRET), keys["prod"], "prod").cypher_text
    given = SimpleNamespace(encrypted=wrapped)
    assert barbican.plugin.decrypt(given, keys["prod"], None, "prod") == SECRET
    with pytest.raises(barbican.module.SecretUnreadable):
        barbican.plugin.decrypt(given, keys["test"], None, "test")


def test_generated_keys_are_of_the_asked_length_and_differ(barbican: SimpleNamespace) -> None:
    key = call_from(barbican, "prod", "t-0123456789ab", "aaaa0001")
    asked = SimpleNamespace(bit_length=512)
    wrapped = [barbican.plugin.generate_symmetric(asked, key, "prod").cypher_text for _ in range(2)]
    opened = [barbican.plugin.decrypt(SimpleNamespace(encrypted=w), key, None, "prod") for w in wrapped]
    assert [len(o) for o in opened] == [64, 64]
    assert opened[0] != opened[1]


def test_unusual_name_of_a_domain(barbican: SimpleNamespace) -> None:
    key = call_from(barbican, "p", "Mairie de / Saint-Élan" + "x" * 80, "ffff")
    assert key.plugin_meta == ("Mairie-de---Saint--lan" + "x" * 80)[:64] + ".ffff"


def test_request_of_another_project_binds_no_key(barbican: SimpleNamespace) -> None:
    call_from(barbican, "p", "d", "f1")
    with pytest.raises(barbican.module.KeysUnavailable, match="which domain"):
        barbican.plugin.bind_kek_metadata(barbican_interface.kek("other"))


def test_errors_have_their_http_status(barbican: SimpleNamespace, vault: Vault) -> None:
    key = call_from(barbican, "p", "t-666666666666", "eeee0006")
    wrapped = barbican.plugin.encrypt(SimpleNamespace(unencrypted=SECRET), key, "p").cypher_text
    tenant_keys.erase(vault.place, vault.token_of(tenant_keys.ERASER), "t-666666666666")
    with pytest.raises(barbican_interface.HTTPError) as caught:
        barbican.plugin.decrypt(SimpleNamespace(encrypted=wrapped), key, None, "p")
    assert caught.value.status_code == 410
    dead = SimpleNamespace(**{**vars(barbican.plugin.transit.settings), "addresses": ["https://127.0.0.1:1"]})
    plugin = barbican.module.TransitCrypto(SimpleNamespace(socle_transit=dead))
    with pytest.raises(barbican_interface.HTTPError) as caught:
        plugin.decrypt(SimpleNamespace(encrypted=wrapped), key, None, "p")
    assert caught.value.status_code == 503
    assert SECRET.decode() not in str(caught.value)


def test_what_the_plugin_takes(barbican: SimpleNamespace) -> None:
    supports, kinds = barbican.plugin.supports, barbican_interface.PluginSupportTypes
    assert supports(kinds.ENCRYPT_DECRYPT)
    assert supports(kinds.SYMMETRIC_KEY_GENERATION, "aes", 512, "xts")
    assert not supports(kinds.SYMMETRIC_KEY_GENERATION, "des", 64, None)
    assert not supports(kinds.ASYMMETRIC_KEY_GENERATION, "rsa", 4096, None)


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
