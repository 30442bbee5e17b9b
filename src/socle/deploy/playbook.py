"""Run one playbook against a site and follow what it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from socle.errors import ExitCode, SocleError
from socle.paths import project_root, state_dir
from socle.site import Site

POLL_SECONDS = 0.1
Follow = Callable[[str], None]
"""Gets the name of each task as it begins."""


@dataclass
class Outcome:
    """What a playbook did."""

    executions: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: Mapping[str, Any]) -> None:
        """Count one event of the callback plugin."""
        if event["event"] != "result":
            return
        self.executions += 1 if event["executed"] else 0
        if event["status"] == "changed":
            self.changes.append(dict(event))
        elif event["status"] in {"failed", "unreachable"}:
            self.failures.append(dict(event))


@dataclass(frozen=True)
class Playbook:
    """A playbook with what it needs to run: the site, the log's folder, and OpenBao's token in the environment."""

    site: Site
    name: str
    log_folder: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """Everything that Ansible printed."""
        return self.log_folder / f"{self.name}.log"

    def run(self, follow: Follow) -> Outcome:
        """Run to the end.

        Raises:
            SocleError: a node does not answer (exit code 6) or a task failed (1).
        """
        events = self.log_folder / f"{self.name}.events"
        events.write_text("", encoding="utf-8")
        outcome = Outcome()
        with self.log.open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                self._command(), cwd=project_root(), env=self._environment(events), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )
            try:
                for event in _events(events, process):
                    outcome.take(event)
                    if event["event"] == "task":
                        follow(event["task"])
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode != 0:
            raise self._failure(outcome, process.returncode)
        return outcome

    def _command(self) -> list[str]:
        ansible = Path(sys.executable).with_name("ansible-playbook")
        playbook = project_root() / "playbooks" / f"{self.name}.yml"
        return [str(ansible), "-i", str(self.site.folder / "site.yml"), str(playbook), *self.arguments]

    def _environment(self, events: Path) -> dict[str, str]:
        state = state_dir(self.site.name)
        sockets = state / "ssh"
        sockets.mkdir(mode=0o700, exist_ok=True)
        config = state / "ssh_config"
        return {
            **os.environ,
            **self.environment,
            "ANSIBLE_CONFIG": str(project_root() / "ansible.cfg"),
            "ANSIBLE_CALLBACKS_ENABLED": "socle_events",
            "ANSIBLE_SSH_COMMON_ARGS": f"-F {config}" if config.exists() else "",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
            "ANSIBLE_FORCE_COLOR": "0",
            "SOCLE_EVENTS": str(events),
            "PYTHONUNBUFFERED": "1",
        }

    def _failure(self, outcome: Outcome, code: int) -> SocleError:
        unreachable = [f for f in outcome.failures if f["status"] == "unreachable"]
        if unreachable:
            names = ", ".join(sorted({f["host"] for f in unreachable}))
            return SocleError(
                f"does not answer by SSH: {unreachable[0]['reason']}",
                where=names,
                write="check that the node runs and that `socle lab status` or its console says so",
                exit_code=ExitCode.UNREACHABLE,
            )
        if outcome.failures:
            first = outcome.failures[0]
            return SocleError(f"{first['task']}: {first['reason']}", where=first["host"], write=f"all of it is in {self.log}")
        tail = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        return SocleError(f"ansible-playbook ended with {code}: {' '.join(tail)}", where=self.name, write=f"see {self.log}")


def _events(path: Path, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Lines of the events' file as they are written, until the process is over and all are read."""
    with path.open(encoding="utf-8") as stream:
        part = ""
        while True:
            over = process.poll() is not None
            for line in stream:
                part += line
                if part.endswith("\n"):
                    yield json.loads(part)
                    part = ""
            if over:
                return
            time.sleep(POLL_SECONDS)
