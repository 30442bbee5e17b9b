"""Read the secrets of components from OpenBao, at the moment a file is rendered."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: Read secrets of components from OpenBao
description:
  - Reads C(kv/services/<component>) of a KV v2 engine with the token of the environment, once for each
    component and task.
  - E(BAO_ADDR), E(BAO_TOKEN) and E(BAO_CACERT) say where and as whom.
  - With E(SOCLE_PLAN_WITHOUT_VAULT) set, before the first deployment, all secrets read alike.
options:
  _terms: {description: Secrets as C(<component>/<name>)., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
password: "{{ lookup('secret', 'nova/database') }}"
"""

RETURN = r"""
_raw: {description: The secrets, in the order of the terms., type: list, elements: str}
"""

import os
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from socle import openbao
from socle.errors import SocleError

PLACEHOLDER = "secret-made-at-the-first-deployment"


class LookupModule(LookupBase):
    """``lookup('secret', '<component>/<name>')``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """The secrets; an error names the one that is missing and what to run."""
        if os.environ.get("SOCLE_PLAN_WITHOUT_VAULT"):
            return [PLACEHOLDER for _term in terms]
        try:
            return [_secret(term) for term in terms]
        except SocleError as error:
            raise AnsibleLookupError(str(error)) from error


def _secret(term: str) -> str:
    component, slash, name = term.partition("/")
    if not slash:
        raise SocleError("is no secret", where=term, expected="<component>/<name>")
    answer = openbao.read(f"kv/data/services/{component}")
    values = answer["data"]["data"] if answer else {}
    if name not in values:
        raise SocleError(
            "is not in OpenBao", where=term, write="name it in the catalogue and run `socle deploy`"
        )
    return str(values[name])
