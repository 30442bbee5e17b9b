"""What Barbican loads, with as much of Barbican as it is given, against a real OpenBao on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from socle.vault import tenant_keys
from tests.unit import barbican_interface
from tests.unit.tenant_vault import ONE, SECRET, Vault, tenant_vault


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    with tenant_vault(tmp_path_factory.mktemp("tenants")) as made:
        yield made


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
