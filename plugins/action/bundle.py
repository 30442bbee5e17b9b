"""Render all files of a role on the deploying machine and lay them on the node in one module execution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

from socle.deploy import survey

PROJECT = Path(__file__).resolve().parents[2]
FILE_KEYS = {
    "path",
    "state",
    "template",
    "content",
    "target",
    "owner",
    "group",
    "mode",
    "secret",
    "validate",
    "wakes",
    "force",
}


class ActionModule(ActionBase):
    """``bundle``: see ``plugins/modules/bundle.py`` for the options.

    A file without ``content`` is rendered from ``templates/<path>.j2`` of the role (or from ``template``,
    relative to ``templates/`` of the role, then of the project). Only the handlers that a changed file
    names are notified, and those that an interrupted run still owes. Where the node's survey says that all is
    as it should be, nothing is executed.
    """

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, execute the module, and hand its list of handlers to the strategy."""
        task_vars = dict(task_vars or {})
        super().run(tmp, task_vars)
        role = self._task._role
        name = self._task.args.get("name") or (role.get_name() if role else None)
        if not name:
            raise AnsibleActionFail("bundle outside a role needs a name; write `name: <role>`")
        if self._task.args.get("settled"):
            return self._executed({"name": name, "settled": True}, task_vars)
        files = self._rendered(self._task.args.get("files") or [], task_vars)
        units = {key: list(self._task.args.get(key) or []) for key in ("started", "stopped")}
        node = task_vars["inventory_hostname"]
        known = survey.known(node)
        if known and survey.has_bundle(known, name, files, **units):
            return {"changed": False, "wakes": [], "changed_paths": [], "runs": True, "executed": False}
        asked = {"name": name, "files": files, "survey": survey.wanted(), **units}
        result = self._executed(asked, task_vars)
        if found := result.pop("survey", None):
            survey.keep(node, found)
        if result.get("wakes"):
            self._task.notify = list(result["wakes"])
        return result

    def _executed(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="bundle", module_args=arguments, task_vars=task_vars
        )
        return result

    def _search_path(self) -> list[str]:
        role = self._task._role
        roots = [Path(role._role_path) / "templates"] if role else []
        return [str(p) for p in (*roots, PROJECT / "templates")]

    def _rendered(self, files: list[dict[str, Any]], task_vars: dict[str, Any]) -> list[dict[str, Any]]:
        search_path = self._search_path()
        templar = self._templar.copy_with_new_env(searchpath=search_path, available_variables=task_vars)
        return [self._render(entry, templar, search_path) for entry in files]

    def _render(self, entry: dict[str, Any], templar: Any, search_path: list[str]) -> dict[str, Any]:
        unknown = set(entry) - FILE_KEYS
        if unknown or "path" not in entry:
            where = entry.get("path", "entry without a path")
            raise AnsibleActionFail(f"bundle: {where}: unknown keys {sorted(unknown)} or no path")
        plain = {k: v for k, v in entry.items() if k not in {"template", "content"}}
        if entry.get("state", "file") != "file":
            return plain
        if "content" in entry:
            text = str(entry["content"])
        else:
            source = self._source(entry, search_path)
            template = trust_as_template(self._loader.get_text_file_contents(str(source)))
            text = templar.template(
                template, escape_backslashes=False, overrides={"trim_blocks": True, "lstrip_blocks": True}
            )
        plain["secret_content" if entry.get("secret") else "content"] = "" if text is None else str(text)
        return plain

    def _source(self, entry: dict[str, Any], search_path: list[str]) -> Path:
        relative = entry.get("template") or entry["path"].lstrip("/") + ".j2"
        for root in search_path:
            candidate = Path(root) / relative
            if candidate.is_file():
                return candidate
        raise AnsibleActionFail(f"bundle: no template {relative} in {' or '.join(search_path)}")
