"""One stack: its workspace, what a killed run left of it, and its runs."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi import automation

from socle import tools
from socle.errors import SocleError
from socle.tenants import orphans
from socle.tenants.session import Session

PROJECT = "socle"
CHANGES = ("create", "update", "replace", "delete", "create-replacement", "delete-replaced")
LOCK_SECONDS = 60


@dataclass(frozen=True)
class StackResult:
    """What a run did to a stack, or would do."""

    stack: str
    counts: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        """Resources that are not as they were."""
        return sum(self.counts.get(change, 0) for change in CHANGES)

    @property
    def same(self) -> int:
        """Resources that stay as they are."""
        return self.counts.get("same", 0)


@dataclass(frozen=True)
class Stack:
    """One stack of a site.

    Args:
        name: ``platform`` or a tenant's domain name.
        folder: the site's folder of stacks; states, keys' ciphertexts and Pulumi's own home are below it.
        program: the inline program.
        secrets_provider: ``hashivault://<key>``.
    """

    name: str
    folder: Path
    program: Callable[[], None]
    secrets_provider: str
    session: Session

    def preview(self) -> StackResult:
        """What ``up`` would do."""
        with _plainly(self.name):
            result = self._open().preview(suppress_progress=True)
        return StackResult(self.name, {str(_text(k)): int(v) for k, v in result.change_summary.items()})

    def up(self) -> StackResult:
        """Make the cloud what the program says."""
        with _plainly(self.name):
            stack = self._open()
            self._finish_interrupted(stack)
            result = stack.up(suppress_progress=True, suppress_outputs=True)
        counts = {str(_text(k)): int(v) for k, v in (result.summary.resource_changes or {}).items()}
        return StackResult(self.name, counts, {k: v.value for k, v in result.outputs.items() if not v.secret})

    def _open(self) -> automation.Stack:
        work = self.folder / self.name
        home = self.folder / "home"
        backend = self.folder / "backend"
        for path in (work, home, backend):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._break_stale_lock(backend)
        pulumi_root = tools.binary("pulumi").parents[1]
        environment = {
            **self.session.environment,
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_SKIP_CHECKPOINTS": "false",
            "PATH": f"{tools.binary('pulumi-resource-openstack').parent}:{os.environ['PATH']}",
        }
        return automation.create_or_select_stack(
            self.name,
            project_name=PROJECT,
            program=self.program,
            opts=automation.LocalWorkspaceOptions(
                work_dir=str(work),
                pulumi_home=str(home),
                env_vars=environment,
                secrets_provider=self.secrets_provider,
                pulumi_command=automation.PulumiCommand(str(pulumi_root)),
            ),
        )

    def _break_stale_lock(self, backend: Path) -> None:
        """Remove the lock of a Pulumi that was killed; wait for one that still lives."""
        for path in (backend / ".pulumi/locks").glob(f"**/{self.name}/*.json"):
            end = time.monotonic() + LOCK_SECONDS
            pid = int(json.loads(path.read_text(encoding="utf-8")).get("pid", 0))
            while path.exists() and _is_pulumi(pid) and time.monotonic() < end:
                time.sleep(0.2)
            if not _is_pulumi(pid):
                path.unlink(missing_ok=True)

    def _finish_interrupted(self, stack: automation.Stack) -> None:
        """Forget what a killed run had begun to make, after removing what of it came to be."""
        state = stack.export_stack()
        deployment = dict(state.deployment or {})
        pending = deployment.get("pending_operations") or []
        if not pending:
            return
        orphans.remove(self.session.connect(), pending, deployment.get("resources") or [])
        deployment["pending_operations"] = []
        stack.import_stack(automation.Deployment(version=state.version, deployment=deployment))


def _is_pulumi(pid: int) -> bool:
    try:
        return b"pulumi" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _text(key: Any) -> Any:
    return getattr(key, "value", key)


class _plainly:  # noqa: N801 - reads as a statement
    """Turn Pulumi's errors into one line, without its whole output."""

    def __init__(self, stack: str) -> None:
        self.stack = stack

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, automation.CommandError):
            return
        found = re.findall(
            r"^\s*(?:error: )?(.*(?:[Ee]rror|failed|refused|locked).*)$", str(error), re.MULTILINE
        )
        reasons = list(dict.fromkeys(line.strip() for line in found))[:4]
        raise SocleError("; ".join(reasons) or "Pulumi failed", where=f"stack {self.stack}") from error
