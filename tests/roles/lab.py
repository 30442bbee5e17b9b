"""The lab as these tests see it: its site, the catalogue, its nodes over SSH, the commands run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import testinfra

from socle import catalogue, vault
from socle.catalogue import Component
from socle.deploy import journal
from socle.paths import project_root, state_dir
from socle.site import load

ROOT = project_root()
SITE = load(ROOT / "inventories/lab")
CATALOGUE = catalogue.load()
PLACE = vault.place_of(SITE, CATALOGUE)
NODES = tuple(SITE.hosts)
SSH_CONFIG = state_dir(SITE.name) / "ssh_config"
CA_FILE = state_dir(SITE.name) / "ca.pem"
SECONDS = 600

PAIRS = [(node, name) for node in NODES for name in CATALOGUE.of_groups(SITE.hosts[node].groups)]
"""Every component on every node that it runs on."""

each_component = pytest.mark.parametrize(("node", "component"), PAIRS, ids=[f"{n}-{c}" for n, c in PAIRS])
each_node = pytest.mark.parametrize("node", NODES)


def on(group: str) -> pytest.MarkDecorator:
    """The test runs on each node of a host group."""
    return pytest.mark.parametrize(
        "node", [name for name, host in SITE.hosts.items() if group in host.groups]
    )


def components_of(node: str) -> dict[str, Component]:
    """What runs on a node."""
    return CATALOGUE.of_groups(SITE.hosts[node].groups)


@cache
def host(node: str) -> Any:
    """A node through testinfra, as root."""
    return testinfra.get_host(f"ssh://{node}", ssh_config=str(SSH_CONFIG), sudo=True, timeout=30)


def output(node: str, command: str) -> str:
    """What a command prints on a node as root; the test fails when the command does."""
    done = host(node).run(command)
    if done.rc != 0:
        pytest.fail(f"{node}: `{command}` ended with {done.rc}: {done.stderr or done.stdout}")
    text: str = done.stdout
    return text


def facts(node: str, command: str) -> Any:
    """The same for a command that prints JSON."""
    return json.loads(output(node, command))


def feed(node: str, script: str, text: str) -> str:
    """What a shell script prints on a node as root, with a text on its standard input and in no argument."""
    command = ["ssh", "-F", str(SSH_CONFIG), node, "sudo", "bash", "-c", f"'{script}'"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=SECONDS)
    # 1 is what grep says when it finds nothing, and 2 when a file went away meanwhile.
    if done.returncode not in {0, 1} and (done.returncode > 2 or done.stderr):
        pytest.fail(f"{node}: a script ended with {done.returncode}: {done.stderr}")
    return done.stdout


def socle(*arguments: str) -> None:
    """Run the ``socle`` command as an operator would; without it no test of this folder makes sense."""
    command = [str(Path(sys.executable).with_name("socle")), "--site", SITE.name, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = f"{done.stdout}\n{done.stderr}"
        pytest.exit(f"socle {' '.join(arguments)} ended with {done.returncode}:\n{told}", returncode=1)


def deploy() -> None:
    """Bring the lab up and deploy it; not again where that was the last run, from the commit in place."""
    socle("lab", "up")
    last = (journal.runs(state_dir(SITE.name)) or [{}])[-1]
    found = tuple(last.get(key) for key in ("command", "result", "commit"))
    commit = journal.commit_in_place()
    if found != ("deploy", "done", commit) or commit.endswith("-dirty"):
        socle("deploy")


@cache
def environment() -> dict[str, str]:
    """What Ansible needs of OpenBao: its address, a token for two hours, its authority."""
    return vault.ansible_environment(PLACE)


def molecule(scenario: str) -> subprocess.CompletedProcess[str]:
    """Run a scenario.

    An OpenBao that the scenario before restarted is opened first.

    Returns:
        Its exit status and all it printed, in ``stdout``.
    """
    vault.unseal(PLACE)
    programs = Path(sys.executable).parent
    command = [programs / "molecule", "--base-config", "molecule/shared.yml", "test", "--destroy", "never"]
    return subprocess.run(
        [*command, "--scenario-name", scenario, "--no-command-borders"],
        cwd=ROOT / "tests/roles",
        env={
            **os.environ,
            **environment(),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "COLUMNS": "160",
            "NO_COLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
