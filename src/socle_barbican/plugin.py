"""What Barbican loads: a crypto plugin that wraps every secret with its tenant's transit key.

A tenant is a domain of Keystone: all its projects share one key, and the project is bound into each
ciphertext. The key carries the domain's name and id, so that OpenBao's audit log says whose key was used. It
is made when a project stores its first secret, and never again for that project: after the key's deletion its
secrets are lost, and it can store no new ones.
"""

from __future__ import annotations

import os
import re
from typing import Any

from barbican.common import config, exception
from barbican.plugin.crypto import base
from oslo_config import cfg
from oslo_context import context

from socle_barbican.api import OpenBaoError
from socle_barbican.transit import KeyGoneError, NotItsOwnError, Settings, Transit

CONF = config.new_config()
GROUP = cfg.OptGroup(name="socle_transit", title="Keys of tenants in OpenBao")
OPTIONS = [
    cfg.ListOpt("addresses", default=[], help="https://host:port of each node of OpenBao"),
    cfg.StrOpt("ca_file", help="The authority that signed OpenBao's certificate, PEM"),
    cfg.StrOpt("login_file", help="RoleID and SecretID, JSON"),
    cfg.StrOpt("mount", default="tenants", help="Where the transit engine is mounted"),
    cfg.FloatOpt("timeout", default=5.0, help="Seconds that each node has to answer"),
]
CONF.register_group(GROUP)
CONF.register_opts(OPTIONS, group=GROUP)
config.parse_args(CONF)

KEK_LABEL = re.compile(r"project-(?P<project>.+)-key-[0-9a-f-]{36}")
UNUSUAL = re.compile(r"[^A-Za-z0-9_-]")
LONGEST_NAME = 64
GENERATED = {"aes", "hmacsha256", "hmacsha384", "hmacsha512"}
GENERATED_BITS = {128, 192, 256, 384, 512}


class KeysUnavailable(exception.BarbicanHTTPException):  # type: ignore[misc]
    """OpenBao is sealed, does not answer, or does not let Barbican in."""

    client_message = "the tenants' keys cannot be used now, try again later"
    status_code = 503


class TenantKeyGone(exception.BarbicanHTTPException):  # type: ignore[misc]
    """The tenant's key was deleted."""

    client_message = "the key of this tenant was deleted, and with it all its secrets"
    status_code = 410


class SecretUnreadable(exception.BarbicanHTTPException):  # type: ignore[misc]
    """The database holds a ciphertext that is not this project's."""

    client_message = "the stored secret does not belong to this project, or its key was deleted"
    status_code = 500


class Unsupported(exception.BarbicanHTTPException):  # type: ignore[misc]
    """A kind of key that is not made here."""

    client_message = "pairs of keys are not generated here; generate them yourself and store the private key"
    status_code = 400


class TransitCrypto(base.CryptoPluginBase):  # type: ignore[misc]
    """The database holds only what OpenBao encrypted; the keys that it does so with stay there."""

    def __init__(self, conf: Any = CONF) -> None:
        own = conf.socle_transit
        self.transit = Transit(
            Settings(tuple(own.addresses), own.ca_file, own.login_file, own.mount, own.timeout)
        )

    def get_plugin_name(self) -> str:
        """The name that users see."""
        return "Transit keys of OpenBao, one for each tenant"

    def bind_kek_metadata(self, kek_meta_dto: Any) -> Any:
        """The tenant's key, made now if this is the first project of its domain to store a secret."""
        name = key_of(project_of(kek_meta_dto.kek_label), context.get_current())
        _plainly(self.transit.ensure_key, name)
        kek_meta_dto.algorithm, kek_meta_dto.bit_length, kek_meta_dto.mode = "aes", 256, "gcm"
        kek_meta_dto.plugin_meta = name
        return kek_meta_dto

    def encrypt(self, encrypt_dto: Any, kek_meta_dto: Any, project_id: str) -> Any:
        """Ciphertext that opens for this project only."""
        return self._wrapped(encrypt_dto.unencrypted, kek_meta_dto, project_id)

    def decrypt(self, decrypt_dto: Any, kek_meta_dto: Any, _kek_meta_extended: Any, project_id: str) -> bytes:
        """The secret; OpenBao's audit log says whose key opened it."""
        name, owner = kek_meta_dto.plugin_meta, owner_of(project_id)
        secret: bytes = _plainly(self.transit.decrypt, name, decrypt_dto.encrypted, owner)
        return secret

    def generate_symmetric(self, generate_dto: Any, kek_meta_dto: Any, project_id: str) -> Any:
        """A new key from the system's random numbers, wrapped."""
        return self._wrapped(os.urandom(int(generate_dto.bit_length) // 8), kek_meta_dto, project_id)

    def generate_asymmetric(self, _generate_dto: Any, _kek_meta_dto: Any, _project_id: str) -> Any:
        """Pairs of keys are not made here."""
        raise Unsupported

    def supports(
        self, type_enum: str, algorithm: str | None = None, bit_length: int | None = None, _mode: Any = None
    ) -> bool:
        """Storing anything, and generating symmetric keys of 128 bits at least (RGS B1, RègleCléSym)."""
        if type_enum == base.PluginSupportTypes.ENCRYPT_DECRYPT:
            return True
        if type_enum == base.PluginSupportTypes.SYMMETRIC_KEY_GENERATION:
            return (algorithm or "").lower() in GENERATED and bit_length in GENERATED_BITS
        return False

    def _wrapped(self, secret: bytes, kek_meta_dto: Any, project_id: str) -> Any:
        wrapped = _plainly(self.transit.encrypt, kek_meta_dto.plugin_meta, secret, owner_of(project_id))
        return base.ResponseDTO(wrapped, None)


def project_of(kek_label: str) -> str:
    """The project for which Barbican asks for a key: its label is all that says so."""
    found = KEK_LABEL.fullmatch(kek_label)
    if not found:
        raise KeysUnavailable(f"Barbican's label {kek_label!r} names no project")
    return found["project"]


def key_of(project: str, request: Any) -> str:
    """Name of the key of a project's domain, as Keystone told the domain with the caller's token."""
    known = request is not None and request.project_id == project
    if not known or not request.project_domain_id or not request.project_domain_name:
        raise KeysUnavailable(f"the request does not say which domain project {project} is of")
    name = UNUSUAL.sub("-", request.project_domain_name)[:LONGEST_NAME]
    return f"{name}.{request.project_domain_id}"


def owner_of(project_id: str) -> str:
    """What is bound into a ciphertext."""
    return f"project:{project_id}"


def _plainly(action: Any, *arguments: Any) -> Any:
    """Turn what OpenBao says into an answer of Barbican: the reason for the log, less for the caller."""
    try:
        return action(*arguments)
    except KeyGoneError as error:
        raise TenantKeyGone(str(error)) from None
    except NotItsOwnError as error:
        raise SecretUnreadable(str(error)) from None
    except OpenBaoError as error:
        raise KeysUnavailable(str(error)) from None
