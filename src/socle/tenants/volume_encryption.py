"""The encryption of the platform's volume type, and that no other type can be chosen.

Cinder keeps it beside the type, and Pulumi's provider does not know it. QEMU opens the volumes itself: LUKS
version 1 (its driver refuses version 2), AES-256 in XTS mode. Cinder hands ``key_size`` to QEMU as the size
of the cipher: 256 makes ``aes-256``, whose XTS key has 512 bits; QEMU knows no ``aes-512``.
"""

from __future__ import annotations

from typing import Any

from socle.errors import SocleError
from socle.site.settings import VOLUME_TYPE

ENCRYPTION = {
    "provider": "luks",
    "cipher": "aes-xts-plain64",
    "key_size": 256,
    "control_location": "front-end",
}


def differences(cloud: Any) -> dict[str, int]:
    """How many types are to be encrypted, or to be taken out of the tenants' sight (``update``)."""
    wrong, open_types = _compare(cloud)
    return _counts(wrong, open_types)


def settle(cloud: Any) -> dict[str, int]:
    """Encrypt the platform's type and hide public ones that are not; what was done, as ``differences``.

    Raises:
        SocleError: volumes of that type are there already, and not encrypted so.
    """
    wrong, open_types = _compare(cloud)
    for kind in wrong:
        _encrypt(cloud, kind)
    for kind in open_types:
        _hide(cloud, kind)
    return _counts(wrong, open_types)


def _encrypt(cloud: Any, kind: Any) -> None:
    from openstack.exceptions import HttpException  # noqa: PLC0415 - takes a second to load

    try:
        if _encryption(cloud, kind):
            cloud.block_storage.delete_type_encryption(volume_type=kind)
        cloud.block_storage.create_type_encryption(kind, **ENCRYPTION)
    except HttpException as error:
        raise SocleError(
            f"cannot be encrypted: {error.details or error}",
            where=f"volume type {kind.name}",
            write="move what its volumes hold to new ones, delete them, then deploy again",
        ) from error


def _hide(cloud: Any, kind: Any) -> None:
    """Cinder's update takes another name than its answers have, which the SDK does not know."""
    from openstack.exceptions import raise_from_response  # noqa: PLC0415 - takes a second to load

    body = {"volume_type": {"is_public": False}}
    raise_from_response(cloud.block_storage.put(f"/types/{kind.id}", json=body))


def _compare(cloud: Any) -> tuple[list[Any], list[Any]]:
    """Types whose encryption is not as wanted, and public ones that tenants must not choose."""
    types = list(cloud.block_storage.types())
    wrong = [t for t in types if t.name == VOLUME_TYPE and _encryption(cloud, t) != ENCRYPTION]
    return wrong, [t for t in types if t.name != VOLUME_TYPE and t.is_public]


def _encryption(cloud: Any, kind: Any) -> dict[str, Any]:
    """What Cinder says of a type's encryption; empty when it has none."""
    found = cloud.block_storage.get_type_encryption(kind)
    known = {name: getattr(found, name, None) for name in ENCRYPTION}
    return known if known["provider"] else {}


def _counts(wrong: list[Any], open_types: list[Any]) -> dict[str, int]:
    changed = len(wrong) + len(open_types)
    return {"update": changed} if changed else {}
