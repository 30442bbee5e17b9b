"""Read a Python module of the kit, for a role that lays it on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
name: source
short_description: Text of a Python module of the kit
description:
  - For programs that run on nodes and are part of the kit's own package, where they are typed and tested.
options:
  _terms: {description: Files below C(src/)., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
content: "{{ lookup('source', 'socle/logs/store.py') }}"
"""

RETURN = r"""
_raw: {description: The text of each file., type: list, elements: str}
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from socle.paths import project_root


class LookupModule(LookupBase):
    """``lookup('source', '<file>')``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """The text of each file."""
        return [_read(term) for term in terms]


def _read(name: str) -> str:
    path = project_root() / "src" / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise AnsibleLookupError(f"{path}: {error.strerror}") from error
