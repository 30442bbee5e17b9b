"""The lab as its tests see it: commands, nodes, URLs."""

from __future__ import annotations

import json
import shlex
import ssl
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from socle.paths import project_root, state_dir
from socle.site import Site

ROOT = project_root()
SOCLE = [str(Path(sys.executable).with_name("socle")), "--site", "lab"]


@dataclass
class Lab:
    """The lab as its tests see it.

    Args:
        deployed: a test of this run deployed it to the end.
    """

    site: Site
    deployed: bool = False

    @property
    def ca_file(self) -> Path:
        """Root certificate of the site's own authority."""
        return state_dir(self.site.name) / "ca.pem"

    def socle(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the ``socle`` command as an operator would."""
        done = subprocess.run([*SOCLE, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
        if check and done.returncode != 0:
            pytest.fail(
                f"socle {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done

    def deploy(self) -> dict[str, Any]:
        """Deploy as an operator would; what ``--json`` tells of it."""
        facts: dict[str, Any] = json.loads(self.socle("deploy", "--json").stdout)
        self.deployed = facts["result"] == "done"
        return facts

    def deploy_and_see_changes(self) -> dict[str, int]:
        """Deploy; how much each phase changed that changed anything."""
        return {phase["name"]: phase["changed"] for phase in self.deploy()["phases"] if phase["changed"]}

    def on(self, node: str, command: str, check: bool = True) -> str:
        """Run a command as root on a node."""
        ssh = [
            "ssh",
            "-F",
            str(state_dir(self.site.name) / "ssh_config"),
            node,
            "sudo",
            "sh",
            "-c",
            shlex.quote(command),
        ]
        done = subprocess.run(ssh, capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode != 0:
            pytest.fail(f"{node}: {command} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def get(self, url: str, timeout: float = 10) -> str:
        """Fetch a URL; https is checked against the site's own authority."""
        context = ssl.create_default_context(cafile=str(self.ca_file)) if url.startswith("https") else None
        with urllib.request.urlopen(url, timeout=timeout, context=context) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text
