"""The rules as ``roles/hardening/rules/*.yml`` hold them, one file for each theme."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field

from socle.paths import project_root

Level = Literal["minimal", "intermediary", "enhanced", "high"]
Need = Literal["kernel", "auditd", "apparmor", "console", "disk"]
Kind = Literal[
    "sysctl",
    "modules",
    "command_line",
    "mounts",
    "settings",
    "permissions",
    "services",
    "apparmor",
    "special_rights",
]
Settings = Mapping[str, str]
OTHERS = ("deviations", "accounted", "rights")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Rule(_Entry):
    """One or more rules of BP-028 and what they set.

    ``set`` is settings by name, or the lines of a file in their order.
    """

    rules: tuple[str, ...]
    level: Level
    why: str
    set: dict[str, str] | tuple[str, ...]
    needs: Need | None = None
    theme: str = ""
    kind: Kind = "settings"
    file: str | None = None
    form: str | None = None
    mode: str = "0644"
    validator: str | None = Field(None, alias="validate")

    @property
    def settings(self) -> dict[str, str]:
        """The settings; empty when lines are set."""
        return self.set if isinstance(self.set, dict) else {}

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines; empty when settings are."""
        return () if isinstance(self.set, dict) else self.set


class DeviationEntry(_Entry):
    """Where a host does not do what a rule says."""

    rules: tuple[str, ...]
    groups: tuple[str, ...]
    reason: str
    setting: str | None = None
    value: str | None = None
    accounts: tuple[str, ...] = ()


class Accounted(_Entry):
    """Rules that no theme holds: where they are held instead."""

    rules: tuple[str, ...]
    by: Literal["roles", "rights", "checks", "manual"]
    how: str


class Document(_Entry):
    """All files of rules."""

    rules: tuple[Rule, ...]
    deviations: tuple[DeviationEntry, ...]
    accounted: tuple[Accounted, ...]
    rights: dict[str, tuple[str, ...]]


@cache
def load() -> Document:
    """Read the files, which ship with the role; a fault in them is a bug, not a user's error."""
    folder = project_root() / "roles/hardening/rules"
    texts = {path.stem: _read(path) for path in sorted(folder.glob("*.yml"))}
    rules = [
        {"theme": theme, "kind": content["kind"], "file": content.get("file"), **rule}
        for theme, content in texts.items()
        if theme not in OTHERS
        for rule in content["rules"]
    ]
    return Document.model_validate({"rules": rules, **{key: texts[key][key] for key in OTHERS}})


def _read(path: Path) -> Any:
    # The parser in C: each of Ansible's processes reads the rules anew.
    with path.open("rb") as stream:
        return yaml.load(stream, yaml.CSafeLoader)
