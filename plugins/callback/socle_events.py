"""Tell `socle deploy` what a playbook does: a JSON line for each event, to the file in SOCLE_EVENTS."""

from __future__ import annotations

DOCUMENTATION = r"""
name: socle_events
type: aggregate
short_description: One JSON line for each event of a playbook
description:
  - Names of playbooks and tasks, results, and what modules say of a failure.
  - Never a task's arguments, so no secret.
  - With C(--diff), also what the modules show as difference, which hides secret files.
  - Writes nothing unless the environment variable E(SOCLE_EVENTS) names a file.
requirements: []
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

from socle.deploy import survey

REASONS = ("msg", "stderr", "stdout", "module_stderr")
LONGEST = 1500
WITHOUT_MODULE = {
    "add_host",
    "assert",
    "debug",
    "fail",
    "group_by",
    "import_role",
    "import_tasks",
    "include_role",
    "include_tasks",
    "include_vars",
    "meta",
    "pause",
    "set_fact",
    "validate_argument_spec",
}
"""Actions that execute nothing on a node."""


class CallbackModule(CallbackBase):
    """Events ``playbook``, ``task``, ``result`` and ``stats``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "socle_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        """Look where events go, if anywhere."""
        super().__init__()
        path = os.environ.get("SOCLE_EVENTS")
        self._path = Path(path) if path else None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """One of the playbooks of the command begins."""
        self._tell("playbook", name=Path(playbook._file_name).stem)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins on all hosts."""
        self._tell("task", **self._names(task))

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """A handler begins."""
        self._tell("task", **self._names(task))

    def v2_runner_on_ok(self, result: Any) -> None:
        """A host has done its task."""
        self._result("changed" if result.is_changed() else "ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A host has failed."""
        self._result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host does not answer."""
        self._result("unreachable", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The playbook is over."""
        self._tell("stats", hosts={host: stats.summarize(host) for host in stats.processed})

    def _result(self, status: str, result: Any) -> None:
        task, data = result.task, result.result
        secret = bool(data.get("_ansible_no_log") or task.no_log)
        facts: dict[str, Any] = {"status": status, "host": result.host.get_name(), **self._names(task)}
        by_kind = task.action.rpartition(".")[2] not in WITHOUT_MODULE
        facts["executed"] = data.get("executed", by_kind)
        if status != "ok":
            survey.forget(facts["host"])
        if status in {"failed", "unreachable"}:
            facts["reason"] = "(not shown: the task handles secrets)" if secret else reason(data)
        if status == "changed" and not secret:
            facts["what"] = what_changed(data)
            if context.CLIARGS.get("diff"):
                facts["diff"] = differences(data)
        self._tell("result", **facts)

    @staticmethod
    def _names(task: Any) -> dict[str, str]:
        role = task._role.get_name() if task._role else ""
        return {"role": role, "task": task.name or task.action}

    def _tell(self, event: str, **facts: Any) -> None:
        if self._path:
            line = json.dumps({"event": event, "time": round(time.time(), 3), **facts}, default=str)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")


def reason(data: dict[str, Any]) -> str:
    """What a module says of its failure; of a loop, the first item that failed."""
    failed = [item for item in data.get("results") or [] if item.get("failed") or item.get("exception")]
    source = failed[0] if failed else data
    said = [str(source[key]).strip() for key in REASONS if source.get(key)]
    unique = [text for index, text in enumerate(said) if text not in " ".join(said[:index])]
    return "\n".join(unique)[:LONGEST] or "no reason given"


def what_changed(data: dict[str, Any]) -> list[str]:
    """The files, units or packages that the kit's own modules name."""
    named = [data.get(key) for key in ("changed_paths", "actions", "installed", "changes")]
    return [str(item) for found in named if isinstance(found, list) for item in found]


def differences(data: dict[str, Any]) -> list[dict[str, str]]:
    """Before and after of each file of a result, those of a loop's items included."""
    own = data.get("diff") or []
    found = [
        {"path": str(each.get("before_header") or each.get("after_header") or ""), **before_and_after(each)}
        for each in (own if isinstance(own, list) else [own])
        if isinstance(each, dict)
    ]
    for item in data.get("results") or []:
        found += differences(item)
    return found


def before_and_after(diff: dict[str, Any]) -> dict[str, str]:
    """The two texts; a module may give them as something else than text."""
    return {
        side: text if isinstance(text := diff.get(side, ""), str) else json.dumps(text)
        for side in ("before", "after")
    }
