"""The callback plugin in a real Ansible, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from socle.deploy.events import Outcome
from socle.paths import project_root

HOSTS = ("plain", "secret", "loop", "node")
PLAYBOOK = """
- hosts: all
  gather_facts: false
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - name: A file is there
      ansible.builtin.copy: {content: "two\\n", dest: "FOLDER/file", mode: "0600"}
      when: inventory_hostname == "plain"
    - name: A secret is there
      ansible.builtin.copy: {content: "s3cr3t\\n", dest: "FOLDER/secret", mode: "0600"}
      no_log: true
      when: inventory_hostname == "plain"
    - name: Something is said
      ansible.builtin.debug: {msg: hello}
      when: inventory_hostname == "plain"
    - name: A secret fails
      ansible.builtin.command: "sh -c 'echo s3cr3t >&2; false'"
      no_log: true
      when: inventory_hostname == "secret"
    - name: A loop fails
      ansible.builtin.command: "{{ item }}"
      loop: ["true", "false"]
      when: inventory_hostname == "loop"
    - name: A node is asked
      ansible.builtin.ping:
      delegate_to: 192.0.2.1
      vars: {ansible_connection: ssh, ansible_ssh_common_args: "-o ConnectTimeout=1 -o BatchMode=yes -F none"}
      when: inventory_hostname == "node"
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the plugin tells of one run in which each host but the first fails in its own way."""
    folder = tmp_path_factory.mktemp("ansible")
    (folder / "file").write_text("one\n")
    (folder / "play.yml").write_text(PLAYBOOK.replace("FOLDER", str(folder)))
    ansible = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [ansible, "-i", ",".join(HOSTS), "--diff", folder / "play.yml"],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(project_root() / "ansible.cfg"),
            "ANSIBLE_INVENTORY_ENABLED": "host_list",
            "ANSIBLE_CALLBACKS_ENABLED": "socle_events",
            "SOCLE_EVENTS": str(folder / "events"),
        },
        cwd=project_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    text = (folder / "events").read_text()
    assert "s3cr3t" not in text
    return [json.loads(line) for line in text.splitlines()]


def test_the_playbook_and_its_tasks_are_named(events: list[dict[str, Any]]) -> None:
    assert (events[0]["event"], events[0]["name"]) == ("playbook", "play")
    assert [e["task"] for e in events if e["event"] == "task"][:2] == ["A file is there", "A secret is there"]


def test_changes_carry_their_difference_but_never_a_secret(events: list[dict[str, Any]]) -> None:
    outcome = Outcome()
    for event in events[1:]:
        outcome.take(event)
    plain, secret = outcome.changes
    assert (plain.diffs[0].before, plain.diffs[0].after) == ("one\n", "two\n")
    assert secret.diffs == ()
    assert outcome.failed


def test_only_modules_count_as_executions(events: list[dict[str, Any]]) -> None:
    executed = [
        e["task"] for e in events if e["event"] == "result" and e["executed"] and e["host"] == "plain"
    ]
    assert executed == ["A file is there", "A secret is there"]


@pytest.mark.parametrize(
    ("host", "status", "reason"),
    [
        ("secret", "failed", "(not shown: the task handles secrets)"),
        ("loop", "failed", "non-zero return code"),
        ("node", "unreachable", "192.0.2.1"),
    ],
)
def test_a_failure_says_why(events: list[dict[str, Any]], host: str, status: str, reason: str) -> None:
    (failure,) = [e for e in events if e.get("host") == host]
    assert failure["status"] == status
    assert reason in failure["reason"]
    assert "One or more items" not in failure["reason"]
