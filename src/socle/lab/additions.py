"""Packages that a node lacks because the catalogue grew after its disk was made: installed while it runs.

A node has no route to a mirror, so the machine fetches the packages and hands them over by SSH.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from socle.lab.build import apt_cache, log_file, only_one_builder, run_in_root, workspace
from socle.lab.disk import Disk
from socle.lab.plan import LabNode
from socle.lab.process import run, run_logged

ARCHIVES = "/var/cache/apt/archives"


def missing_packages(node: LabNode, disk: Disk) -> tuple[str, ...]:
    """Packages of the node that its disk was never asked to have."""
    return tuple(sorted(set(node.packages) - set(disk.packages)))


def add_packages(node: LabNode, disk: Disk, ssh_config: Path) -> None:
    """Install what a running node lacks.

    Raises:
        SocleError: a package cannot be had or installed.
    """
    missing = missing_packages(node, disk)
    doing = f"packages added to {node.name}"
    session = ["ssh", "-F", str(ssh_config), node.name]
    with only_one_builder(), workspace() as work:
        status = run([*session, "cat", "/var/lib/dpkg/status"], doing=doing)
        (work / "status").write_text(status, encoding="utf-8")
        log = log_file(f"{node.name}-added")
        run_in_root("fetch-packages.sh", work, lowers=disk.lowers, packages=missing, log=log, doing=doing)
        names = (work / "archives").read_text(encoding="utf-8").split()
        _hand_over(names, session, doing)
    paths = [f"{ARCHIVES}/{name}" for name in names]
    install = ["apt-get", "--yes", "--no-install-recommends", "--no-download", "install", *paths]
    environment = ["sudo", "env", "DEBIAN_FRONTEND=noninteractive"]
    run_logged([*session, *environment, *install], log, doing=doing)
    run([*session, "sudo", "apt-get", "clean"], doing=doing)
    disk.record(disk.lowers, tuple(sorted({*disk.packages, *missing})))


def _hand_over(names: list[str], session: list[str], doing: str) -> None:
    """Copy archives from the shared cache to the node."""
    pack = ["tar", "--create", f"--directory={apt_cache() / 'archives'}", "--", *names]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        unpack = ["sudo", "tar", "--extract", f"--directory={ARCHIVES}"]
        run([*session, *unpack], doing=doing, source=packing.stdout)
