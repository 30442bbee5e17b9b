"""Get the login of a host to OpenBao, with its SecretID wrapped."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_login
short_description: Get a host's login to OpenBao
description:
  - Reads the RoleID of the AppRole and asks for a SecretID that stays in OpenBao. What travels is a token
    that opens it once, within a minute. If somebody else opened it on the way, the host notices.
options:
  _terms: {description: Names of AppRoles., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
login: "{{ lookup('host_login', 'host-' ~ node.name) }}"
"""

RETURN = r"""
_raw:
  description: For each AppRole, C(role_id), C(wrapping_token) and C(trust), the PEM to trust this one time.
  type: list
  elements: dict
"""

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from socle import openbao
from socle.errors import SocleError

WRAP_TTL = "60s"


class LookupModule(LookupBase):
    """``lookup('host_login', '<AppRole>')``."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, str]]:
        """One login for each AppRole."""
        try:
            return [_login(role) for role in terms]
        except SocleError as error:
            raise AnsibleLookupError(str(error)) from error


def _login(role: str) -> dict[str, str]:
    path = f"auth/approle/role/{role}"
    role_id = openbao.request("GET", f"{path}/role-id")
    wrapped = openbao.request("POST", f"{path}/secret-id", wrap_ttl=WRAP_TTL)
    if not role_id or not wrapped:
        raise SocleError("OpenBao has no such AppRole", where=role, write="run `socle deploy`")
    return {
        "role_id": role_id["data"]["role_id"],
        "wrapping_token": wrapped["wrap_info"]["token"],
        "trust": Path(os.environ["BAO_CACERT"]).read_text(encoding="ascii"),
    }
