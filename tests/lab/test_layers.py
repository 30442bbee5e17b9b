"""Layers: a build that is killed leaves nothing behind, and what cannot be had is named in one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from socle.paths import project_root

pytestmark = [pytest.mark.lab, pytest.mark.slow]


BUILD = """
import dataclasses, sys
from socle import catalogue
from socle.lab.from_site import plan_from_site
from socle.lab.layers import ensure_layers
from socle.paths import project_root
from socle.site import load
plan = plan_from_site(load(project_root() / "inventories/lab"), catalogue.load())
debian = dataclasses.replace(plan.debian, mirror=sys.argv[2] or plan.debian.mirror)
plan = dataclasses.replace(plan, debian=debian)
node = dataclasses.replace(plan.node("sec1"), packages=tuple(sys.argv[1].split()))
try:
    print(ensure_layers(plan, [node], print)["sec1"].root)
except Exception as error:
    sys.exit(str(error))
"""


def build(packages: str, mirror: str = "") -> subprocess.Popen[str]:
    """Build a small layer on the cached base, in a process of its own."""
    environment = {"PYTHONPATH": str(project_root() / "src"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    command = [sys.executable, "-c", BUILD, packages, mirror]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def builders() -> list[str]:
    """Processes and mounts of builds under way."""
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if ".build-" in line]
    listed = subprocess.check_output(["ps", "-eo", "stat,args"], text=True).splitlines()
    return found + [line for line in listed if ".build-" in line and not line.startswith("Z")]


def test_a_killed_build_leaves_nothing_and_the_next_one_finishes() -> None:
    for moment in (1.0, 2.0, 3.0):
        process = build("hello")
        time.sleep(moment)
        process.kill()
        process.wait()
        time.sleep(0.5)
        assert builders() == []
    finished = build("hello")
    root = Path(finished.communicate()[0].splitlines()[-1])
    assert finished.returncode == 0
    try:
        assert (root / "usr/bin/hello").is_file()
        assert not (root / "usr/sbin/policy-rc.d").exists()
        assert [path.name for path in root.parent.parent.glob(".build-*")] == []
        assert "Acquire" not in "".join(
            path.read_text() for path in root.glob("etc/apt/apt.conf.d/*") if path.is_file()
        )
    finally:
        shutil.rmtree(root.parent)


def test_a_package_that_does_not_exist_is_named() -> None:
    process = build("no-such-package")
    message = process.communicate()[1]
    assert process.returncode == 1
    assert "packages of sec1: Unable to locate package no-such-package; see " in message
    assert message.count("\n") == 1


def test_a_mirror_that_does_not_answer_is_named() -> None:
    process = build("hello", "http://127.0.0.1:9/debian")
    message = process.communicate()[1]
    assert process.returncode == 1
    assert "base root: " in message
    assert "http://127.0.0.1:9/debian" in message
    assert message.count("\n") == 1
