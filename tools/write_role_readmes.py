#!/usr/bin/env python3
"""Write roles/*/README.md from each role's argument_specs, defaults and entry of the service catalogue.

Run by the interpreter of .venv after a change of those files; a unit test fails while a README is stale.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from socle.catalogue import Component, load
from socle.paths import project_root

HEAD = (
    "<!-- Written by tools/write_role_readmes.py from meta/argument_specs.yml and the service catalogue. -->"
)


def read_yaml(path: Path) -> Any:
    """A YAML file as plain data; an empty mapping when there is none."""
    return (YAML(typ="safe", pure=True).load(path.read_text("utf-8")) if path.is_file() else None) or {}


def readme(folder: Path, component: Component) -> str:
    """The whole text for one role."""
    specification = read_yaml(folder / "meta/argument_specs.yml")["argument_specs"]["main"]
    described = specification.get("description", [])
    parts = [
        HEAD,
        f"# {folder.name}",
        f"**{specification['short_description'].removesuffix('.')}.**",
        _marked("\n".join([described] if isinstance(described, str) else described)),
        _place(component),
        _variables(specification.get("options") or {}, read_yaml(folder / "defaults/main.yml")),
        _listeners(component),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _marked(text: str) -> str:
    """Ansible's C(code) in Markdown."""
    return re.sub(r"\b[CVOE]\(([^)]*)\)", r"`\1`", text)


def _place(component: Component) -> str:
    lines = [f"- Hosts: {', '.join(component.runs_on)}"]
    for title, values in {
        "Packages": component.packages,
        "Units": component.units,
        "Databases": component.databases,
        "Secrets in OpenBao": component.secrets,
    }.items():
        if values:
            lines.append(f"- {title}: {', '.join(f'`{value}`' for value in values)}")
    return "\n".join(lines)


def _variables(options: dict[str, Any], defaults: dict[str, Any]) -> str:
    if not options:
        return "## Variables\n\nNone."
    rows = ["| name | type | default | |", "|---|---|---|---|"]
    for name, option in options.items():
        rows.append(
            f"| `{name}` | {option['type']} | {_cell(defaults.get(name))} | {_marked(option['description'])} |"
        )
    return "## Variables\n\n" + "\n".join(rows)


def _cell(value: Any) -> str:
    """A default; what is computed is told by the description, and a mapping by its size."""
    if isinstance(value, dict):
        return f"{len(value)} entries of `defaults/main.yml`"
    if isinstance(value, str) and "{{" in value:
        return "computed"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _listeners(component: Component) -> str:
    if not component.listeners:
        return ""
    rows = ["| listener | port | zone | callers | TLS |", "|---|---|---|---|---|"]
    for name, entry in component.listeners.items():
        port = f"{entry.port}–{entry.last_port}" if entry.last_port else str(entry.port)
        rows.append(
            f"| {name} | {port}/{entry.protocol} | {entry.zone} | {', '.join(entry.callers)} | {entry.tls} |"
        )
    return "## Listeners\n\n" + "\n".join(rows)


def readmes() -> dict[Path, str]:
    """What each README should hold, by its path."""
    folder = project_root() / "roles"
    return {
        folder / name / "README.md": readme(folder / name, entry) for name, entry in load().components.items()
    }


if __name__ == "__main__":
    for path, text in readmes().items():
        path.write_text(text, "utf-8")
