"""Run playbooks against a site in one Ansible process, and follow what they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from socle.deploy import survey
from socle.deploy.events import Failure, Outcome, title
from socle.deploy.processes import dies_with_us
from socle.errors import ExitCode, SocleError
from socle.paths import project_root, state_dir
from socle.site import Site
from socle.site.entrance import by_hand, user_authority

ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
POLL_SECONDS = 0.1
STOP_SECONDS = 20
LAST_LINES = 3


class Follower(Protocol):
    """Who is told of a run while it goes on."""

    def begin(self, playbook: str) -> None:
        """A playbook begins."""

    def tell(self, text: str) -> None:
        """A task begins."""

    def end(self, outcome: Outcome) -> None:
        """The playbook that began last is over."""


@dataclass(frozen=True)
class Playbooks:
    """Playbooks to run one after the other.

    Args:
        names: files of ``playbooks/`` without their suffix.
        folder: for the log, everything that Ansible printed, and for the events.
        environment: on top of this process's own; OpenBao's token is here, never in the arguments.
        arguments: more of the command line.
        inherited: file descriptors that the process keeps open.
        stopping: set by another thread to end the process.
        program: of Ansible, the one beside this Python.
    """

    site: Site
    names: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    inherited: tuple[int, ...] = ()
    stopping: threading.Event = field(default_factory=threading.Event)
    program: Path = ANSIBLE

    @property
    def log(self) -> Path:
        """Everything that Ansible printed."""
        return self.folder / f"{'+'.join(self.names)}.log"

    def run(self, follower: Follower) -> dict[str, Outcome]:
        """Run to the end; what each playbook did.

        Raises:
            PlaybookError: a node does not answer (exit code 6), or a task failed (1).
        """
        events = self.log.with_suffix(".events")
        events.touch(mode=0o600)
        outcomes: dict[str, Outcome] = {}
        with self.log.open("a", encoding="utf-8") as log:
            process = self._start(events, log)
            try:
                _follow(self._events(events, process), follower, outcomes)
            finally:
                _stop(process)
        if process.returncode != 0:
            raise PlaybookError(outcomes, self._end_of_log(process.returncode), self.log, self.site)
        return outcomes

    def _start(self, events: Path, log: Any) -> subprocess.Popen[bytes]:
        paths = [str(project_root() / "playbooks" / f"{name}.yml") for name in self.names]
        inventory = str((self.site.folder / "site.yml").resolve())
        return subprocess.Popen(
            [*dies_with_us(), str(self.program), "-i", inventory, *paths, *self.arguments],
            cwd=project_root(),
            env={**os.environ, **self.environment, **self._settings(events)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=self.inherited,
            start_new_session=True,
        )

    def _settings(self, events: Path) -> dict[str, str]:
        sockets = state_dir(self.site.name) / "ssh"
        sockets.mkdir(mode=0o700, exist_ok=True)
        return {
            "ANSIBLE_CONFIG": str(project_root() / "ansible.cfg"),
            "ANSIBLE_CALLBACKS_ENABLED": "socle_events",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_NOCOLOR": "1",
            "SOCLE_EVENTS": str(events),
            survey.VARIABLE: str(survey.folder_in(self.folder)),
            "PYTHONUNBUFFERED": "1",
        }

    def _events(self, path: Path, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
        """The lines of the file as they are written, until the process is over and all are read."""
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
                if self.stopping.wait(POLL_SECONDS):
                    raise SocleError("interrupted", where=self.names[0])

    def _end_of_log(self, code: int) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = " ".join(line.strip() for line in lines[-LAST_LINES:])
        return f"ansible-playbook ended with status {code}: {last or 'it said nothing'}"


class PlaybookError(SocleError):
    """A playbook that did not end well: a line for a node that does not answer, a block for a failed task."""

    def __init__(self, outcomes: dict[str, Outcome], otherwise: str, log: Path, site: Site) -> None:
        self.outcomes = outcomes
        failures = [failure for outcome in outcomes.values() for failure in outcome.failures]
        lines = [_line(failure, site) for failure in failures] or [otherwise]
        self.text = "\n".join([*lines, f"The whole log is {log}"])
        away = any(failure.unreachable for failure in failures)
        super().__init__(self.text, where=None, exit_code=ExitCode.UNREACHABLE if away else ExitCode.FAILED)


def unreachable(site: Site, name: str, reason: str) -> SocleError:
    """A node that does not answer by SSH: which, where, and what to check."""
    host = site.hosts[name]
    state = state_dir(site.name)
    in_lab = (state / "lab").is_dir()
    session = by_hand(state, name, host.address, site.settings.deploy_user)
    check = (
        f"see `socle --site {site.name} lab status`, start it with `socle --site {site.name} lab up`"
        if in_lab
        else f"check that it runs and that `{session}` opens a session"
    )
    if "Permission denied" in reason and user_authority(site):
        check = (
            "open OpenBao (`socle vault unseal`) and try again; without OpenBao: docs/operator/break-glass.md"
        )
    what = f"does not answer by SSH on {host.address} ({' '.join(reason.split())})"
    return SocleError(what, where=name, write=check, exit_code=ExitCode.UNREACHABLE)


def _line(failure: Failure, site: Site) -> str:
    if failure.unreachable and failure.host in site.hosts:
        return unreachable(site, failure.host, failure.reason).line()
    return failure.block()


def _follow(events: Iterator[dict[str, Any]], follower: Follower, outcomes: dict[str, Outcome]) -> None:
    name = ""
    for event in events:
        if event["event"] == "playbook":
            name = event["name"]
            outcomes[name] = Outcome()
            follower.begin(name)
        else:
            outcomes[name].take(event)
        if event["event"] == "task":
            follower.tell(title(event))
        if event["event"] == "stats":
            follower.end(outcomes[name])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End Ansible if it still runs; it hands the signal on to its workers."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
