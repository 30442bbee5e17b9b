"""The accounts at Keystone that are no component's: whom the provider's own machines are in the cloud.

Each has its password in OpenBao at ``kv/services/<account>``, key ``identity``, and a second account
``<account>-b`` that takes its place while it is rotated, like the accounts of components.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

DOMAIN: Final = "provider"
"""The domain of the provider's accounts, machines and people alike, and the one project in it. No tenant has
an account there (SecNumCloud 3.2, 9.6.a)."""

DEPLOYER: Final = "deployer"
"""Makes what a deployment and the stacks make."""

AUDITOR: Final = "auditor"
"""Reads what the compliance suite judges; also the role that it has, which the policies of services know."""

ROLES: Mapping[str, tuple[str, ...]] = MappingProxyType({DEPLOYER: ("admin",), AUDITOR: (AUDITOR, "reader")})
"""Account to its roles in the provider's project."""

SECRET: Final = "identity"  # noqa: S105 - the name, not the value
"""Key of the password in OpenBao."""


def secret_path(account: str) -> str:
    """``<component>/<name>`` of an account's password."""
    return f"{account}/{SECRET}"
