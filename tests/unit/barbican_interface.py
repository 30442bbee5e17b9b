"""As much of Barbican as its plugins are given, for a machine that has no Barbican.

The names, arguments and results are those of Debian 13's Barbican 20 (``barbican/plugin/crypto/base.py``);
the lab's tests run the plugin inside the real one.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest


class HTTPError(Exception):
    """``barbican.common.exception.BarbicanHTTPException``."""

    status_code = 500
    client_message = ""


class ResponseDTO:
    """What ``encrypt`` returns."""

    def __init__(self, cypher_text: bytes, kek_meta_extended: str | None = None) -> None:
        self.cypher_text, self.kek_meta_extended = cypher_text, kek_meta_extended


class PluginSupportTypes:
    """What a plugin may support."""

    ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
    SYMMETRIC_KEY_GENERATION = "SYMMETRIC_KEY_GENERATION"
    ASYMMETRIC_KEY_GENERATION = "ASYMMETRIC_KEY_GENERATION"


def kek(project: str) -> SimpleNamespace:
    """The description of a project's key before it is bound (``KEKMetaDTO``)."""
    label = f"project-{project}-key-00000000-1111-2222-3333-444444444444"
    return SimpleNamespace(
        kek_label=label, plugin_name="p", algorithm=None, bit_length=None, mode=None, plugin_meta=None
    )


def install(patch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Make the modules importable; what is returned holds ``request``, the current caller."""
    current = SimpleNamespace(request=None)
    settings = SimpleNamespace(register_group=lambda _g: None, register_opts=lambda _o, group: None)
    option = lambda *names, **said: SimpleNamespace(names=names, **said)  # noqa: E731
    modules = {
        "barbican": {},
        "barbican.common": {},
        "barbican.common.config": {"new_config": lambda: settings, "parse_args": lambda _c: None},
        "barbican.common.exception": {"BarbicanHTTPException": HTTPError},
        "barbican.plugin": {},
        "barbican.plugin.crypto": {},
        "barbican.plugin.crypto.base": {
            "CryptoPluginBase": object,
            "ResponseDTO": ResponseDTO,
            "PluginSupportTypes": PluginSupportTypes,
        },
        "oslo_config": {},
        "oslo_config.cfg": {"OptGroup": option, "ListOpt": option, "StrOpt": option, "FloatOpt": option},
        "oslo_context": {},
        "oslo_context.context": {"get_current": lambda: current.request},
    }
    for name, content in modules.items():
        made = ModuleType(name)
        made.__dict__.update(content)
        patch.setitem(sys.modules, name, made)
        parent, _dot, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, made)
    patch.delitem(sys.modules, "socle_barbican.plugin", raising=False)
    return current
