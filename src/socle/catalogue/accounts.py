"""The accounts at Keystone that are no component's: the provider's own machines and people.

Each machine has its password in OpenBao at ``kv/services/<account>``, key ``identity``, and a second account
``<account>-b`` that takes its place while it is rotated, like the accounts of components.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

DUTIES: Mapping[str, tuple[str, ...]] = MappingProxyType({"operator": ("admin",), "auditor": ROLES[AUDITOR]})
"""Role of people.yml to the roles at Keystone of a person who has it; other roles have no work there."""

FACTORS: Mapping[str, object] = MappingProxyType(
    {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
)
"""Options of each person's account: it opens by both factors, and by nothing else: no application credential.

Source: https://docs.openstack.org/keystone/2025.1/admin/multi-factor-authentication.html
"""

SECRET: Final = "identity"  # noqa: S105 - the name, not the value
"""Key of the password in OpenBao."""


def roles_of(duties: Iterable[str]) -> tuple[str, ...]:
    """Roles at Keystone of a person; none who has no work there.

    Args:
        duties: the person's roles in people.yml.
    """
    return tuple(sorted({role for duty in duties for role in DUTIES.get(duty, ())}))


def secret_path(account: str) -> str:
    """``<component>/<name>`` of an account's password."""
    return f"{account}/{SECRET}"
