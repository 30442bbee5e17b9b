"""Roles as their files describe them, with variables rendered by Ansible itself: no node is asked."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from socle.paths import project_root

ROOT = project_root()
# Ansible reads it once, when its first module is imported.
os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")

from ansible.inventory.manager import InventoryManager  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.plugins.loader import init_plugin_loader  # noqa: E402
from ansible.template import Templar, trust_as_template  # noqa: E402
from ansible.vars.hostvars import HostVars  # noqa: E402
from ansible.vars.manager import VariableManager  # noqa: E402

DEFAULT_MODES = {"file": "0644", "directory": "0755"}
WITHOUT_CONTENT = "map('rejectattr', 'key', 'eq', 'content') | map('items2dict')"
PLACEHOLDER: Final = "made-at-the-first-deployment"
"""What every secret reads like while SOCLE_PLAN_WITHOUT_VAULT is set."""
init_plugin_loader()


@cache
def read_yaml(path: Path) -> Any:
    """A YAML file as plain data, to be read only: it is loaded once; None when there is none."""
    return yaml.load(path.read_text("utf-8"), yaml.CSafeLoader) if path.is_file() else None


@dataclass(frozen=True)
class LaidFile:
    """One entry of a role's bundle on one host."""

    role: str
    path: str
    state: str
    owner: str
    group: str
    mode: str
    secret: bool
    template: str | None
    wakes: tuple[str, ...]
    target: str | None = None
    force: bool = True
    """Whether what is there already is replaced."""
    text: str | None = None
    """Its content, when it was rendered."""

    @property
    def for_the_world(self) -> bool:
        """Whether any account of the host may read it."""
        return bool(int(self.mode, 8) & 0o007)


@dataclass(frozen=True)
class Role:
    """A role of the project."""

    name: str

    @property
    def folder(self) -> Path:
        """Its folder in ``roles/``."""
        return ROOT / "roles" / self.name

    @property
    def defaults(self) -> dict[str, Any]:
        """Variables that a site may set."""
        return read_yaml(self.folder / "defaults/main.yml") or {}

    @property
    def variables(self) -> dict[str, Any]:
        """Variables of its own."""
        return read_yaml(self.folder / "vars/main.yml") or {}

    @property
    def specification(self) -> dict[str, Any]:
        """The entry point ``main`` of its argument_specs; empty when it has none."""
        document = read_yaml(self.folder / "meta/argument_specs.yml") or {}
        found: dict[str, Any] = document.get("argument_specs", {}).get("main", {})
        return found

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """All tasks of all its task files."""
        return [task for path in sorted(self.folder.glob("tasks/*.yml")) for task in read_yaml(path) or []]

    @property
    def handlers(self) -> list[dict[str, Any]]:
        """Its handlers, in the order in which they run."""
        return read_yaml(self.folder / "handlers/main.yml") or []

    @property
    def templates(self) -> set[str]:
        """Paths of its templates below ``templates/``."""
        base = self.folder / "templates"
        return {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}

    def bundles(self, tasks: str = "main.yml") -> list[str]:
        """Expressions of the files that a file of tasks lays (or a pattern of them), as written."""
        every = [
            task for path in sorted(self.folder.glob(f"tasks/{tasks}")) for task in read_yaml(path) or []
        ]
        found = (task["bundle"].get("files") for task in every if "bundle" in task)
        return [expression for expression in found if expression]


@cache
def roles() -> tuple[Role, ...]:
    """All roles by name."""
    return tuple(Role(path.name) for path in sorted((ROOT / "roles").iterdir()) if path.is_dir())


class SiteVariables:
    """All variables of a site's hosts, as playbooks see them."""

    def __init__(self, site: str | Path) -> None:
        """Args:
        site: a name in ``inventories/``, or a site folder.
        """
        self.loader = DataLoader()
        self.loader.set_basedir(str(ROOT))
        # A path that is whole stays what it is.
        source = str(ROOT / "inventories" / site / "site.yml")
        self.inventory = InventoryManager(loader=self.loader, sources=[source])
        self.manager = VariableManager(loader=self.loader, inventory=self.inventory)
        self.hostvars = HostVars(self.inventory, self.manager, self.loader)
        self._known: dict[str, dict[str, Any]] = {}

    @property
    def hosts(self) -> list[str]:
        """Names of all hosts."""
        return [host.name for host in self.inventory.get_hosts()]

    def known(self, host: str) -> dict[str, Any]:
        """Variables of a host outside of any role."""
        if host not in self._known:
            self._known[host] = self.manager.get_vars(host=self.inventory.get_host(host))
        return {**self._known[host], "hostvars": self.hostvars, "ansible_play_hosts": self.hosts}

    def components(self, host: str) -> list[str]:
        """What runs on a host."""
        return list(self.known(host)["node"]["components"])

    def render(self, host: str, role: Role, expression: str) -> Any:
        """The value of an expression inside a role."""
        return self._templar(host, role).template(trust_as_template(f"{{{{ {expression} }}}}"))

    def _templar(self, host: str, role: Role) -> Any:
        own = {**_trusted(role.defaults), **self.known(host), **_trusted(role.variables)}
        templar = Templar(loader=self.loader, variables=own)
        return templar.copy_with_new_env(searchpath=_search_path(role), available_variables=own)

    def rendered(self, host: str, role: Role) -> list[LaidFile]:
        """The files that a role lays on a host whatever happens, with their texts, as ``bundle`` lays them.

        Raises:
            AnsibleError: one of them cannot be rendered.
        """
        templar = self._templar(host, role)
        found = []
        for expression in role.bundles():
            for entry in templar.template(trust_as_template(f"{{{{ {_bare(expression)} }}}}")):
                file = _laid(role.name, entry, "content" in entry)
                if file.state == "file":
                    text = self._text(templar, role, file) if file.template else str(entry["content"])
                    file = replace(file, text=text)
                found.append(file)
        return found

    def _text(self, templar: Any, role: Role, file: LaidFile) -> str:
        places = [Path(root) / str(file.template) for root in _search_path(role)]
        source = next(place for place in places if place.is_file())
        text = templar.template(
            trust_as_template(self.loader.get_text_file_contents(str(source))),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": True},
        )
        return "" if text is None else str(text)

    def laid(self, host: str, role: Role, tasks: str = "main.yml") -> list[LaidFile]:
        """The files that a role lays on a host, on every one or (``*.yml``) under conditions as well.

        Their contents are not rendered.
        """
        found = []
        for expression in role.bundles(tasks):
            bare = _bare(expression)
            keys = self.render(host, role, f"({bare}) | map('list') | list")
            plain = self.render(host, role, f"({bare}) | map('dict2items') | {WITHOUT_CONTENT} | list")
            found += [
                _laid(role.name, entry, "content" in has) for entry, has in zip(plain, keys, strict=True)
            ]
        return found


def _laid(role: str, entry: dict[str, Any], has_content: bool) -> LaidFile:
    state = entry.get("state", "file")
    rendered = state == "file" and not has_content
    template = entry.get("template") or f"{entry['path'].lstrip('/')}.j2"
    return LaidFile(
        role=role,
        path=entry["path"],
        state=state,
        owner=entry.get("owner", "root"),
        group=entry.get("group", "root"),
        mode=entry.get("mode", DEFAULT_MODES.get(state, "0777")),
        secret=bool(entry.get("secret")),
        template=template if rendered else None,
        wakes=tuple(entry.get("wakes", ())),
        target=entry.get("target"),
        force=bool(entry.get("force", True)),
    )


def _search_path(role: Role) -> list[str]:
    return [str(role.folder / "templates"), str(ROOT / "templates")]


def _bare(expression: str) -> str:
    """What stands between the braces."""
    found = re.fullmatch(r"\s*\{\{(.*)\}\}\s*", expression, re.DOTALL)
    if not found:
        raise ValueError(f"not one expression: {expression}")
    return found[1].strip()


def _trusted(value: Any) -> Any:
    """The same data with its texts allowed to be templates."""
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value
