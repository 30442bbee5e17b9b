"""Install packages, unless this run already knows that the node has them."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from socle.deploy import survey


class ActionModule(ActionBase):
    """``packages``: see ``plugins/modules/packages.py`` for the options."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Execute the module where the node's survey does not say that there is nothing to do."""
        task_vars = dict(task_vars or {})
        super().run(tmp, task_vars)
        known = survey.known(task_vars["inventory_hostname"])
        if known and survey.has_packages(known, self._task.args["names"]):
            return {"changed": False, "installed": [], "executed": False}
        result: dict[str, Any] = self._execute_module(
            module_name="packages", module_args=self._task.args, task_vars=task_vars
        )
        return result
