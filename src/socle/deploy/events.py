"""What a playbook did, from the events of ``plugins/callback/socle_events.py``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any


@dataclass(frozen=True)
class Diff:
    """What a file or a list is and would be; of a secret file, only that it differs."""

    path: str
    before: str
    after: str

    def lines(self) -> list[str]:
        """As `diff -u` shows it, without the names."""
        texts = (self.before.splitlines(), self.after.splitlines())
        return list(unified_diff(*texts, lineterm="", n=1))[2:]

    def counts(self) -> tuple[int, int]:
        """Lines added and removed."""
        lines = self.lines()
        return sum(x.startswith("+") for x in lines), sum(x.startswith("-") for x in lines)


@dataclass(frozen=True)
class Change:
    """One task that changed a host, or would."""

    host: str
    role: str
    task: str
    what: tuple[str, ...]
    """Files, units or packages, as the module names them."""
    diffs: tuple[Diff, ...] = ()


@dataclass(frozen=True)
class Failure:
    """One task that failed on a host, or a host that does not answer."""

    host: str
    role: str
    task: str
    reason: str
    unreachable: bool

    def block(self) -> str:
        """Node, role and task on a line, what the module said below."""
        place = f"{self.host}: {self.role}: {self.task}" if self.role else f"{self.host}: {self.task}"
        return "\n".join([place, *(f"  {line}" for line in self.reason.splitlines())])


@dataclass
class Outcome:
    """The sum of one playbook's events."""

    executions: int = 0
    """Modules that were executed on hosts."""
    changes: list[Change] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    tasks: dict[str, float] = field(default_factory=dict)
    """Seconds by ``role: task``."""
    hosts: Counter[str] = field(default_factory=Counter)
    """Executions by host."""
    failed: bool = False
    """Whether a host is given up, as Ansible's own statistics say: a failure may have been rescued."""
    _current: tuple[str, float] | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Count one event."""
        if event["event"] in {"task", "stats"}:
            self._close(event["time"])
        if event["event"] == "task":
            self._current = (title(event), event["time"])
        elif event["event"] == "result":
            self._result(event)
        elif event["event"] == "stats":
            self.failed = any(host["failures"] or host["unreachable"] for host in event["hosts"].values())

    def _close(self, now: float) -> None:
        if self._current:
            name, since = self._current
            self.tasks[name] = round(self.tasks.get(name, 0.0) + now - since, 3)
        self._current = None

    def _result(self, event: Mapping[str, Any]) -> None:
        host, role, task = event["host"], event["role"], event["task"]
        if event["executed"]:
            self.executions += 1
            self.hosts[host] += 1
        if event["status"] == "changed":
            diffs = tuple(Diff(**diff) for diff in event.get("diff", ()))
            self.changes.append(Change(host, role, task, tuple(event.get("what", ())), diffs))
        elif event["status"] in {"failed", "unreachable"}:
            self.failures.append(Failure(host, role, task, event["reason"], event["status"] == "unreachable"))


def title(event: Mapping[str, Any]) -> str:
    """``role: task``, or the task alone when it is in no role."""
    return f"{event['role']}: {event['task']}" if event["role"] else str(event["task"])
