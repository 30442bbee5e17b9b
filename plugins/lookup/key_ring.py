"""Read a ring of numbered keys from OpenBao, at the moment a file is rendered."""

from __future__ import annotations

DOCUMENTATION = r"""
name: key_ring
short_description: Read a ring of Keystone's keys from OpenBao
description:
  - Reads C(kv/services/<component>) like the look-up C(secret), and under the same conditions.
options:
  _terms: {description: Rings as C(<component>/<name>)., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
keys: "{{ lookup('key_ring', 'keystone/fernet') }}"
"""

RETURN = r"""
_raw:
  description: >-
    For each ring, C(keys), values by number (0 comes next, the highest one writes), and C(gone), numbers.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from socle import credentials, openbao
from socle.errors import SocleError


class LookupModule(LookupBase):
    """``lookup('key_ring', '<component>/<name>')``."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """The rings; an error names the one that is missing and what to run."""
        try:
            return [_ring(term) for term in terms]
        except SocleError as error:
            raise AnsibleLookupError(str(error)) from error


def _ring(term: str) -> dict[str, Any]:
    name = term.partition("/")[2]
    values = openbao.service_secrets(term, *(f"_{key}" for key in credentials.RING))
    keys = {str(number): key for number, key in credentials.ring(values, name).items()}
    return {"keys": keys, "gone": [str(number) for number in credentials.gone(values, name)]}
