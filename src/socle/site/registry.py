"""``registry.yml``: what the kit remembers of each tenant, written by the kit and kept in git.

Two facts must survive the tenant's own file: where the tenant is in its life, so that removing a file deletes
nothing, and which prefixes it was given, so that another tenant's arrival never moves them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from socle.site.fields import Entry, Prefix, Siren
from socle.site.tenant import Environment, SegmentName

State = Literal["active", "frozen", "exported", "notice", "erased", "certified"]


class Registration(Entry):
    """One tenant: its state, and the prefix of each segment in each environment."""

    state: State = "active"
    prefixes: dict[Environment, dict[SegmentName, Prefix]] = Field(default_factory=dict)


class Registry(Entry):
    """All tenants that the site ever had."""

    tenants: dict[Siren, Registration] = Field(default_factory=dict)
