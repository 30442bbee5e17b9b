"""The volume type's encryption: settled once, and no type beside it that a tenant could choose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from openstack.exceptions import BadRequestException

from socle.errors import SocleError
from socle.site.settings import VOLUME_TYPE, Storage
from socle.tenants import volume_encryption
from socle.tenants.volume_encryption import ENCRYPTION


class Cinder:
    """Volume types and their encryption, as much as is asked of them."""

    def __init__(self, *types: tuple[str, bool, dict[str, Any]], in_use: bool = False) -> None:
        self.kinds = [SimpleNamespace(id=name, name=name, is_public=public) for name, public, _e in types]
        self.encryption = {name: dict(encryption) for name, _public, encryption in types}
        self.in_use = in_use

    @property
    def block_storage(self) -> Cinder:
        return self

    def types(self) -> list[Any]:
        return list(self.kinds)

    def get_type_encryption(self, kind: Any) -> Any:
        return SimpleNamespace(**{**dict.fromkeys(ENCRYPTION), **self.encryption[kind.name]})

    def create_type_encryption(self, kind: Any, **attributes: Any) -> None:
        if self.in_use:
            raise BadRequestException("type is in use")
        self.encryption[kind.name] = attributes

    def delete_type_encryption(self, volume_type: Any) -> None:
        self.encryption[volume_type.name] = {}

    def put(self, path: str, json: Any) -> Any:
        """``PUT /types/{id}``: Cinder 26 reads ``is_public``, and no name with a prefix."""
        (kind,) = (kind for kind in self.kinds if path == f"/types/{kind.id}")
        kind.is_public = json["volume_type"]["is_public"]
        return SimpleNamespace(status_code=200)


@pytest.mark.parametrize("former", [{}, {**ENCRYPTION, "key_size": 128}], ids=["none", "another"])
def test_type_is_encrypted_once_and_others_are_hidden(former: dict[str, Any]) -> None:
    cloud = Cinder(("__DEFAULT__", True, {}), (VOLUME_TYPE, True, former))
    assert volume_encryption.differences(cloud) == {"update": 2}
    assert volume_encryption.settle(cloud) == {"update": 2}
    assert cloud.encryption[VOLUME_TYPE] == ENCRYPTION
    assert [kind.name for kind in cloud.kinds if kind.is_public] == [VOLUME_TYPE]
    assert volume_encryption.settle(cloud) == {}
    assert volume_encryption.differences(cloud) == {}


def test_type_with_open_volumes_is_told() -> None:
    with pytest.raises(SocleError, match=f"volume type {VOLUME_TYPE}: cannot be encrypted"):
        volume_encryption.settle(Cinder((VOLUME_TYPE, True, {}), in_use=True))


def test_cipher_is_one_that_qemu_knows_and_has_256_bits() -> None:
    """Cinder writes ``cipher-alg=aes-<key_size>``; QEMU 10 has aes-128, aes-192 and aes-256."""
    assert ENCRYPTION["key_size"] == 256
    assert ENCRYPTION["cipher"] == "aes-xts-plain64"
    assert ENCRYPTION["provider"] == "luks"


def test_no_site_chooses_another_type() -> None:
    with pytest.raises(ValueError, match="encrypted"):
        Storage.model_validate({"osds": [{"file_gib": 10}], "volume_type": "open"})
    assert Storage.model_validate({"osds": [{"file_gib": 10}]}).volume_type == VOLUME_TYPE
