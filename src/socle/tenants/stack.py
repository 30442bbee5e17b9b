"""One stack: its workspace, what a killed run left of it, and its runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pulumi import automation

from socle import durable, tools
from socle.errors import SocleError
from socle.tenants import orphans
from socle.tenants.session import Session
from socle.tenants.state import PROJECT, StackFiles
from socle.tenants.watch import Watch, watched

CLOUD_FAILED = re.compile(r"\bbut got 5\d\d instead|is in error status|unexpected state 'ERROR'")
"""How the provider tells that an API failed, rather than refused, or that what it began came to nothing."""
CHANGES = ("create", "update", "replace", "delete", "create-replacement", "delete-replaced")


@dataclass(frozen=True)
class StackResult:
    """What a run did to a stack, or would do."""

    stack: str
    counts: dict[str, int] = field(default_factory=dict)

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
        return self._run(lambda stack, watch: stack.preview(on_event=watch, suppress_progress=True))

    def up(self) -> StackResult:
        """Make the cloud what the program says.

        A run that the cloud ended with an error of its own (HTTP 5xx, a volume or server that failed) is
        taken up once more. What was asked for may have been made all the same: that is settled first, as
        after a kill.
        """
        try:
            return self._up()
        except SocleError as error:
            if not CLOUD_FAILED.search(str(error)):
                raise
        return self._up()

    def _up(self) -> StackResult:
        def make(stack: automation.Stack, watch: Watch) -> None:
            try:
                stack.up(on_event=watch, suppress_progress=True)
            except automation.CommandError:
                StackFiles(self.name, self.folder).doubt(watch.doubtful)
                raise

        return self._run(make, self._finish_interrupted)

    def destroy(self) -> StackResult:
        """Delete all that the stack made, volumes with it. Its state stays, empty."""

        def prepare(stack: automation.Stack) -> None:
            self._finish_interrupted(stack)
            _edit(stack, lambda deployment: {**deployment, "resources": _unprotected(deployment)})

        return self._run(lambda stack, watch: stack.destroy(on_event=watch, suppress_progress=True), prepare)

    def _run(
        self,
        operation: Callable[[automation.Stack, Watch], object],
        prepare: Callable[[automation.Stack], None] = lambda _stack: None,
    ) -> StackResult:
        with watched(self.name) as watch:
            stack = self._open()
            prepare(stack)
            operation(stack, watch)
        return StackResult(self.name, watch.counts)

    def _open(self) -> _Stack:
        files = StackFiles(self.name, self.folder)
        files.prepare()
        workspace = automation.LocalWorkspace(
            work_dir=str(files.work),
            pulumi_home=str(files.home),
            env_vars=_environment(self.session, files),
            secrets_provider=self.secrets_provider,
            pulumi_command=_pulumi(),
            program=self.program,
            project_settings=automation.ProjectSettings(name=PROJECT, runtime="python"),
        )
        return _Stack(self.name, workspace, exists=files.state.is_file())

    def _finish_interrupted(self, stack: automation.Stack) -> None:
        """Record or remove what an earlier run had begun to make and could not write down."""
        files = StackFiles(self.name, self.folder)
        unsettled = files.unsettled()
        if not unsettled:
            return

        def settled(deployment: Mapping[str, Any]) -> dict[str, Any]:
            resources = deployment.get("resources") or []
            with self.session.cloud() as cloud:
                now = orphans.settle(cloud, unsettled, resources)
            return {**deployment, "resources": now, "pending_operations": []}

        _edit(stack, settled)
        durable.remove(files.doubts)


class _Stack(automation.Stack):
    """Pulumi's stack without calls of the CLI that nothing here needs: each takes 0.2 s of a processor."""

    def __init__(self, name: str, workspace: automation.Workspace, *, exists: bool) -> None:
        self.name, self.workspace = name, workspace
        if not exists:
            workspace.create_stack(name)

    def outputs(self) -> automation.OutputMap:
        """None: what a run makes known, its program says."""
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:
        """Nothing of the history: a run's counts come with its events."""
        now = datetime.now(UTC)
        return automation.UpdateSummary("update", now, "", {}, {}, "succeeded", now)


def _edit(stack: automation.Stack, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
    """Write a state again with a change; secrets in it stay ciphertext."""
    state = stack.export_stack()
    stack.import_stack(automation.Deployment(state.version, change(state.deployment or {})))


def _unprotected(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**resource, "protect": False} for resource in deployment.get("resources") or []]


@cache
def _pulumi() -> automation.PulumiCommand:
    return automation.PulumiCommand(str(tools.binary("pulumi").parents[1]))


def _environment(session: Session, files: StackFiles) -> dict[str, str]:
    return {
        **session.environment,
        "PULUMI_BACKEND_URL": f"file://{files.backend}",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PATH": f"{tools.binary('pulumi-resource-openstack').parent}:{os.environ['PATH']}",
    }
