"""Read a file of the kit on the deploying machine."""

from __future__ import annotations

DOCUMENTATION = r"""
name: project_file
short_description: Text of a file of the kit
description:
  - For a program that has its place in the kit's own source tree, where its tests are, and runs on nodes.
options:
  _terms: {description: Paths below the project's root., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
content: "{{ lookup('project_file', 'src/socle_barbican/plugin.py') }}"
"""

RETURN = r"""
_raw: {description: The text of each file., type: list, elements: str}
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from socle.paths import project_root


class LookupModule(LookupBase):
    """``lookup('project_file', '<path>')``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """The text of each file."""
        try:
            return [(project_root() / term).read_text("utf-8") for term in terms]
        except OSError as error:
            raise AnsibleLookupError(f"{error.filename}: {error.strerror}") from error
