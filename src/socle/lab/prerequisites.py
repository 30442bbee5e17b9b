"""What the machine must have before a lab is made; Debian packages that are missing are installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from socle.errors import ExitCode, SocleError
from socle.lab.process import run
from socle.paths import cache_dir

GIB = 1024**3
CORES = 2
MEMORY_GIB = 12
"""Memory available at the start of the first node: a machine of 16 GiB has this much left."""
DISK_GIB = 30
DISK_GIB_WITH_LAYERS = 10
"""Free space wanted once binaries and layers are in the cache."""
OS_RELEASE = Path("/etc/os-release")
RELEASES = ("12", "13")

HOST_PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "gpg": "gnupg",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "setpriv": "util-linux",
    "nsenter": "util-linux",
}
"""Command wanted: package that brings it."""
WAIT = "--option=DPkg::Lock::Timeout=600"
"""Seconds that apt waits for another run of it, such as the first upgrades of a fresh machine."""


def check(*, layers_cached: bool) -> None:
    """Check the machine and touch nothing.

    Raises:
        SocleError: exit code 4, all that is missing in one line each.
    """
    verdicts = [_root(), _release(), _cores(), _memory(), _disk(layers_cached=layers_cached)]
    verdicts += [_device(path) for path in ("/dev/net/tun", "/dev/fuse")]
    faults = [fault for fault in verdicts if fault]
    if faults:
        raise SocleError("\n".join(fault.line() for fault in faults), exit_code=ExitCode.PREREQUISITE)


def install_missing(progress: Callable[[str], None]) -> None:
    """Install the Debian packages that the lab needs on the machine, saying which.

    Raises:
        SocleError: exit code 4; apt could not install them.
    """
    missing = sorted({package for command, package in HOST_PACKAGES.items() if shutil.which(command) is None})
    if not missing:
        return
    progress(f"Installing on this machine: {', '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(["apt-get", "--quiet", "update"], doing="apt on this machine", env=environment)
        install = ["apt-get", "--quiet", "--yes", WAIT, "--no-install-recommends", "install", *missing]
        run(install, doing="apt on this machine", env=environment)
    except SocleError as error:
        raise SocleError(
            error.what,
            where=error.where,
            write=f"run `apt-get install {' '.join(missing)}` and look at what it says",
            exit_code=ExitCode.PREREQUISITE,
        ) from error


def _root() -> SocleError | None:
    if os.geteuid() == 0:
        return None
    return SocleError("not root", where="this machine", expected="root", write="run it with sudo")


def _release() -> SocleError | None:
    try:
        lines = OS_RELEASE.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    release = dict(line.replace('"', "").split("=", 1) for line in lines if "=" in line)
    if release.get("ID") == "debian" and release.get("VERSION_ID") in RELEASES:
        return None
    found = release.get("PRETTY_NAME", "an unknown system")
    return SocleError(f"runs {found}", where="this machine", expected="Debian 12 or 13")


def _cores() -> SocleError | None:
    cores = len(os.sched_getaffinity(0))
    return None if cores >= CORES else _too_small("processor cores", cores, CORES)


def _memory() -> SocleError | None:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    available = int(fields["MemAvailable"].split()[0]) * 1024 / GIB
    if available >= MEMORY_GIB:
        return None
    return _too_small("GiB of memory available", round(available, 1), MEMORY_GIB)


def _disk(*, layers_cached: bool) -> SocleError | None:
    wanted = DISK_GIB_WITH_LAYERS if layers_cached else DISK_GIB
    folder = cache_dir()
    free = shutil.disk_usage(folder).free / GIB
    return None if free >= wanted else _too_small(f"GiB free under {folder}", round(free, 1), wanted)


def _too_small(what: str, found: float, wanted: int) -> SocleError:
    return SocleError(f"{found:g} {what}", where="this machine", expected=f"at least {wanted}")


def _device(path: str) -> SocleError | None:
    if Path(path).exists():
        return None
    return SocleError(f"has no {path}", where="this machine", expected="a kernel with it")
