"""A Debian root for a machine of its own: kernel, boot loader, SSH; made once, kept by what went in."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import yaml

from socle.lab.build import acquire_settings
from socle.lab.layers import BASE_PACKAGES, DPKG_OPTIONS
from socle.lab.prerequisites import WAIT
from socle.lab.process import PRIVATE_NAMESPACES, run, run_logged
from socle.paths import cache_dir, project_root
from socle.site import load

RECIPE = 1
"""Raise it when what is made here changes."""
OWN_PACKAGES = (
    "chrony",
    "grub-pc-bin",
    "grub2-common",
    "initramfs-tools",
    "linux-image-cloud-amd64",
    "udev",
)
DISK = "3G"
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "debugfs": "e2fsprogs"}
"""Programs that the machine needs here: package that brings each."""
FINISH = Path(__file__).with_name("finish-root.sh")


def machine_root() -> Path:
    """The folder with ``root``, ``disk`` (ext4, raw), ``kernel`` and ``initrd``.

    Raises:
        SocleError: a package cannot be had.
    """
    _install_missing()
    packages = sorted({*BASE_PACKAGES, *OWN_PACKAGES, *_of_the_role()})
    mirror = load(project_root() / "inventories/lab").settings.mirror
    parts = [RECIPE, FINISH.read_text("utf-8"), packages, DPKG_OPTIONS, str(mirror.url), mirror.suite]
    folder = cache_dir() / "machines"
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    with (folder / ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob(".build-*"):
            shutil.rmtree(left)
        if not made.is_dir():
            work = Path(tempfile.mkdtemp(prefix=".build-", dir=folder))
            _build(work, packages, str(mirror.url), mirror.suite)
            work.rename(made)
    return made


def _of_the_role() -> list[str]:
    """What the role installs on a host that can do everything."""
    defaults = yaml.safe_load((project_root() / "roles/hardening/defaults/main.yml").read_text("utf-8"))
    return [package for packages in defaults["hardening_packages"].values() for package in packages]


def _install_missing() -> None:
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if missing:
        command = ["apt-get", "--yes", WAIT, "--no-install-recommends", "install", *missing]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run_logged(command, cache_dir() / "log/machine.log", doing=" ".join(missing), env=environment)


def _build(work: Path, packages: list[str], mirror: str, suite: str) -> None:
    (work / "apt.conf").write_text(acquire_settings(), encoding="utf-8")
    command = [
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
        f"--include={','.join(packages)}",
        f"--aptopt={work / 'apt.conf'}",
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        f'--customize-hook=sh {FINISH} "$1"',
        *(suite, str(work / "root"), mirror),
    ]
    run_logged([*PRIVATE_NAMESPACES, *command], cache_dir() / "log/machine.log", doing="root of a machine")
    for name, pattern in {"kernel": "vmlinuz-*", "initrd": "initrd.img-*"}.items():
        shutil.copy(next((work / "root/boot").glob(pattern)), work / name)
    make = ["mke2fs", "-q", "-t", "ext4", "-d", work / "root", "-L", "machine", work / "disk", DISK]
    run(make, doing="disk of a machine")
