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

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from socle import openbao
from socle.errors import SocleError


class LookupModule(LookupBase):
    """``lookup('secret', '<component>/<name>')``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """The secrets; an error names the one that is missing and what to run."""
        try:
            return [str(openbao.service_secrets(term)[term.partition("/")[2]]) for term in terms]
        except SocleError as error:
            raise AnsibleLookupError(str(error)) from error
