"""The deploying machine where systemd runs: this one, its files and network, under a systemd of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socle.errors import SocleError
from socle.lab.container import OPTIONS, Container
from socle.lab.disk import Disk
from socle.paths import cache_dir, state_dir
from tests.lab.deployed import ROOT, SOCLE
from tests.waiting import eventually

OF_NODES = ("--capability=", "--rlimit=", "--bind=")
"""Options of nodes that it does not need: it changes no network and runs no guest."""
PASSED = ("SOCLE_STATE", "SOCLE_CACHE")
SECONDS = 300


@dataclass(frozen=True)
class Station:
    """A container over this machine's root, in which nothing is enabled at first.

    Args:
        folder: for what it writes outside of the site's state; not on the file system of the root.
    """

    site: str
    folder: Path

    @property
    def container(self) -> Container:
        """By which it is entered and stopped, as nodes are."""
        return Container(self.site, "station", Disk(self.folder))

    def start(self) -> None:
        """Boot it, and wait until its systemd has started what timers need."""
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir()
        overlay = f"lowerdir=/,upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"
        options = [option for option in OPTIONS if not option.startswith(OF_NODES)]
        options += [f"--bind={path}" for path in (state_dir(self.site).parent, cache_dir())]
        options += [f"--bind-ro={path}" for path in (ROOT, history(), sys.base_prefix, "/etc/hosts")]
        # What this machine has enabled is none of its business.
        options += ["--tmpfs=/etc/systemd/system", "--", "--unit=basic.target"]
        self.container.boot(overlay, options)
        eventually(self._booted, seconds=60, pause=0.2)

    def stop(self) -> None:
        """End it; the machine is as it was."""
        self.container.stop()

    def run(self, *words: str, code: int = 0) -> str:
        """What a command of its root prints; the test fails when it ends otherwise."""
        done = self._done(*words)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr}"
        return done.stdout

    def socle(self, *words: str, code: int = 0) -> str:
        """What a command of the kit prints there."""
        return self.run(*SOCLE, *words, code=code)

    def shown(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        told = self.run("systemctl", "show", f"--property={','.join(names)}", unit)
        return dict(line.split("=", 1) for line in told.splitlines())

    def journal(self, *words: str) -> list[dict[str, Any]]:
        """Entries of its journal, oldest first."""
        told = self.run("journalctl", "--quiet", "--output=json", *words)
        return [json.loads(line) for line in told.splitlines()]

    def _done(self, *words: str) -> subprocess.CompletedProcess[str]:
        given = [f"{name}={os.environ[name]}" for name in PASSED if name in os.environ]
        return subprocess.run(
            [*self.container.entered(), *given, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def _booted(self) -> bool:
        try:
            return self._done("systemctl", "--quiet", "is-active", "basic.target").returncode == 0
        except SocleError:  # no first process yet
            return False


def history() -> str:
    """Where git keeps the kit's history: what is committed meanwhile does not show through an overlay."""
    words = ["git", "-C", str(ROOT), "rev-parse", "--path-format=absolute", "--git-common-dir"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
