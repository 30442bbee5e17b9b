"""Read from OpenBao which accounts a component has at a server, at the moment a file is rendered."""

from __future__ import annotations

DOCUMENTATION = r"""
name: account
short_description: Read accounts of components from OpenBao
description:
  - A component has two accounts at the database, the queue and Keystone, used in turn. While a rotation is
    under way both are let in.
  - Reads C(kv/services/<component>) like the look-up C(secret), and under the same conditions.
options:
  _terms: {description: Secrets as C(<component>/<name>)., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
user: "{{ lookup('account', 'nova/database').name }}"
"""

RETURN = r"""
_raw:
  description: >-
    For each secret, C(name) and C(password) of the account in use; C(accepted), all accounts that the server
    must have (dicts of C(name) and C(password)); C(refused), names that it must not have; C(old), logins that
    a proof tries and that must be refused.
  type: list
  elements: dict
"""

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from socle import credentials, openbao
from socle.errors import SocleError


class LookupModule(LookupBase):
    """``lookup('account', '<component>/<name>')``."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """The accounts; an error names the secret that is missing and what to run."""
        try:
            return [_account(term) for term in terms]
        except SocleError as error:
            raise AnsibleLookupError(str(error)) from error


def _account(term: str) -> dict[str, Any]:
    component, _slash, name = term.partition("/")
    values = openbao.service_secrets(term)
    accepted = credentials.accepted(values, component, name)
    refused = credentials.refused(values, component, name)
    other = values.get(f"{name}_other")
    return {
        **asdict(accepted[0]),
        "accepted": [asdict(one) for one in accepted],
        "refused": list(refused),
        "old": [{"name": one, "password": str(other)} for one in refused if other],
    }
