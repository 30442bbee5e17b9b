"""Find a binary of the kit on the deploying machine."""

from __future__ import annotations

DOCUMENTATION = r"""
name: binary
short_description: Path and SHA-256 of a binary of the kit
description:
  - The site's own binary when C(site.binaries) names one, else the one that the kit builds and keeps.
  - With E(SOCLE_RENDER_WITHOUT_BUILDS) set nothing is built; the path and hash of what is missing say so.
options:
  _terms: {description: Names of binaries., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
path: "{{ lookup('binary', 'bao').path }}"
"""

RETURN = r"""
_raw: {description: For each binary its C(path) and its C(sha256)., type: list, elements: dict}
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from socle.errors import SocleError
from socle.tools import BinaryOverride, resolve
from socle.tools.builder import NOT_BUILT, WITHOUT_BUILDS, cached, sha256
from socle.tools.recipe import recipe


class LookupModule(LookupBase):
    """``lookup('binary', '<name>')``."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, str]]:
        """Path and SHA-256 of each binary."""
        own = (variables or {}).get("site", {}).get("binaries", {})
        return [_find(name, own.get(name.replace("-", "_"))) for name in terms]


def _find(name: str, own: dict[str, str] | None) -> dict[str, str]:
    if not own and os.environ.get(WITHOUT_BUILDS) and not cached(recipe(name)):
        return {"path": NOT_BUILT, "sha256": NOT_BUILT}
    override = BinaryOverride(Path(own["path"]), own["sha256"]) if own else None
    try:
        path = resolve(name, override)
    except SocleError as error:
        raise AnsibleLookupError(str(error)) from error
    return {"path": str(path), "sha256": own["sha256"].lower() if own else _hash(path)}


@cache
def _hash(path: Path) -> str:
    return sha256(path)
