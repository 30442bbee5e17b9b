"""Creations that a state says were begun, with the login under which they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Creation:
    """One resource as its program asked for it."""

    resource: Mapping[str, Any]
    """As the state has it: ``urn``, ``type``, ``inputs``, ``provider``, ``dependencies`` …"""
    login: Mapping[str, Any]
    """Inputs of its provider: ``userName``, ``userDomainId``, ``tenantId``, ``region``."""

    @property
    def type(self) -> str:
        """Pulumi's token."""
        return str(self.resource["type"])

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What was asked for."""
        return self.resource.get("inputs") or {}

    def get(self, name: str) -> Any:
        """One input, None when it was not given."""
        return self.inputs.get(name)

    def __getitem__(self, name: str) -> Any:
        return self.inputs[name]


def creations(
    pending: Sequence[Mapping[str, Any]], resources: Sequence[Mapping[str, Any]]
) -> Iterator[Creation]:
    """The creations among pending operations.

    Args:
        pending: ``pending_operations`` of a state.
        resources: its ``resources``, among them the providers.
    """
    logins = {f"{r['urn']}::{r.get('id')}": r.get("inputs") or {} for r in resources}
    for operation in pending:
        if operation["type"] == "creating":
            resource = operation["resource"]
            yield Creation(resource, logins.get(str(resource.get("provider")), {}))
