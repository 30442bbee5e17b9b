"""What a host is: release, clock, packages, disks, units."""

from __future__ import annotations

import os
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from socle.audit.collect.agent import Questions, Unread, output, section, text

DISKS = ("/", "/var", "/var/log", "/home", "/tmp", "/boot")  # noqa: S108 - mount points to look at
VERIFIED = frozenset({
    "bash", "coreutils", "dpkg", "apt", "libc6", "libpam-modules", "libpam-runtime", "login", "nftables",
    "openssh-client", "openssh-server", "openssl", "passwd", "polkitd", "python3-minimal", "sudo", "systemd",
    "systemd-journal-remote", "util-linux",
})  # fmt: skip
"""Packages on which the host's security rests, few enough to be verified at every audit."""
LEFT_OUT = re.compile(r"^missing\s+(?:c\s+)?/usr/share/(?:man|locale|doc|info|lintian)\b")
"""What an installation may leave out by dpkg's ``path-exclude``."""
SCANNERS = {"clamav-daemon": "/var/lib/clamav"}
"""Packages that look for malware: where each keeps its signatures."""
LISTS = Path("/var/lib/apt/lists")
UPDATES_SECONDS = 60
STATES = ("Id", "LoadState", "ActiveState", "UnitFileState")


@section("system")
def system(_questions: Questions) -> dict[str, str]:
    """The release of Debian and the kernel."""
    release = _release()
    return {
        "id": release["ID"],
        "codename": release["VERSION_CODENAME"],
        "version": text("/etc/debian_version").strip(),
        "kernel": output("uname", "--kernel-release").strip(),
    }


def _release() -> dict[str, str]:
    """What ``/etc/os-release`` says."""
    lines = (line.split("=", 1) for line in text("/etc/os-release").splitlines() if "=" in line)
    return {name: value.strip('"') for name, value in lines}


@section("clock")
def clock(questions: Questions) -> dict[str, Any]:
    """What chrony says of its sources and of the offset (seconds), and the zone of the host."""
    if not questions["capabilities"]["time"]:
        raise Unread("l’hôte partage l’horloge de la machine qui le porte")
    tracking = output("chronyc", "-c", "-n", "tracking").strip().split(",")
    sources = [line.split(",") for line in output("chronyc", "-c", "-n", "sources").splitlines()]
    return {
        "reference": tracking[1],
        "stratum": int(tracking[2]),
        "offset_seconds": abs(float(tracking[4])),
        "leap": tracking[13],
        "addresses": sorted(one[2] for one in sources),
        "sources": sorted(
            ({"address": one[2], "state": one[1], "reachable": int(one[5]) > 0} for one in sources),
            key=lambda one: one["address"],
        ),
    }


@section("packages")
def packages(_questions: Questions) -> dict[str, Any]:
    """How many packages there are, which ones somebody asked for, which are half installed."""
    lines = output(
        "dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Package} ${Version}\\n"
    ).splitlines()
    installed = {line.split()[1]: line.split()[2] for line in lines if line.startswith("ii")}
    broken = [line.split()[1] for line in lines if line[:2] not in {"ii", "rc", "un", "hi"}]
    foreign = output("dpkg", "--print-foreign-architectures").split()
    return {
        "count": len(installed),
        "manual": sorted(output("apt-mark", "showmanual").split()),
        "held": sorted(output("apt-mark", "showhold").split()),
        "broken": sorted(broken),
        "foreign": foreign,
        "essential": sorted(_essential()),
        "versions": {name: installed[name] for name in sorted(installed)},
    }


def _essential() -> set[str]:
    """Packages that every Debian has, and all on which these depend."""
    shape = "${Package}\\t${Essential}\\t${Priority}\\t${Pre-Depends}, ${Depends}, ${Recommends}\\n"
    lines = [line.split("\t") for line in output("dpkg-query", "--show", "--showformat", shape).splitlines()]
    needs = {
        name: set(re.findall(r"[a-z0-9][a-z0-9+.-]+", depends)) for name, _is, _priority, depends in lines
    }
    found: set[str] = set()
    waiting = [one[0] for one in lines if one[1] == "yes" or one[2] in {"required", "important"}]
    while waiting:
        name = waiting.pop()
        if name in needs and name not in found:
            found.add(name)
            waiting += needs[name]
    return found


@section("malware")
def malware(_questions: Questions) -> dict[str, Any]:
    """What looks for malware on the host, whether it runs, and the day of its newest signatures."""
    for name, folder in SCANNERS.items():
        if Path(folder).is_dir():
            newest = max((path.stat().st_mtime for path in Path(folder).iterdir()), default=0)
            return {"scanner": name, "unit": states([name])[name]["active"], "signatures": int(newest)}
    raise Unread("aucun antivirus sur l’hôte : le kit n’en déploie pas, la mesure relève d’une autre brique")


@section("integrity")
def integrity(_questions: Questions) -> dict[str, Any]:
    """Which programs of the base are not as their package laid them (``dpkg --verify``), not settings."""
    there = set(output("dpkg-query", "--show", "--showformat", "${Package}\\n").split())
    chosen = sorted(VERIFIED & there)
    lines = output("dpkg", "--verify", *chosen, ok=(0, 1)).splitlines()
    changed = [line.split()[-1] for line in lines if not LEFT_OUT.match(line) and " c " not in line]
    return {"verified": chosen, "changed": sorted(changed)}


@section("updates")
def updates(_questions: Questions) -> dict[str, Any]:
    """Security updates that wait, by the package lists of the host; the age of these as a day.

    A file of lists has the time that the mirror gives it. The security suite's changes with its updates, not
    each day: what counts of it is the day on which it was signed.
    """
    lists = [path for path in LISTS.glob("*Release") if path.is_file()]
    if not lists:
        raise Unread("aucune liste de paquets sur l’hôte : il n’a pas interrogé de miroir")
    codename = _release()["VERSION_CODENAME"]
    signed = [
        found[1]
        for path in lists
        if re.search(rf"_dists_{codename}-security_(?:In)?Release$", path.name)
        and (found := re.search(r"^Date: (.+)$", text(str(path)), re.MULTILINE))
    ]
    if not signed:
        raise Unread(f"aucune liste de {codename}-security sur l’hôte : ses mises à jour lui sont inconnues")
    # Not “upgrade”, which keeps back what needs a new package, a kernel for one. It only simulates.
    said = output(
        *("apt-get", "--simulate", "--quiet", "dist-upgrade", "-o", "Debug::NoLocking=true"),
        seconds=UPDATES_SECONDS,
    )
    waiting = [line.split() for line in said.splitlines() if line.startswith("Inst ")]
    return {
        "lists_seconds": int(max(path.stat().st_mtime for path in lists)),
        "security_seconds": int(max(parsedate_to_datetime(day).timestamp() for day in signed)),
        "security": sorted(one[1] for one in waiting if "security" in " ".join(one).lower()),
        "others": len(waiting),
    }


@section("disks")
def disks(_questions: Questions) -> dict[str, Any]:
    """File systems that matter: size and free space in MiB, and whether each is a mount of its own."""
    found = {}
    for path in DISKS:
        if Path(path).is_dir():
            space = os.statvfs(path)
            found[path] = {
                "own": path == "/" or os.path.ismount(path),
                "mib": space.f_blocks * space.f_frsize >> 20,
                "free_percent": round(100 * space.f_bavail / max(space.f_blocks, 1)),
                "free_inodes_percent": round(100 * space.f_favail / max(space.f_files, 1)),
            }
    return found


@section("units")
def units(questions: Questions) -> dict[str, Any]:
    """Units that failed, and the state of those that the catalogue runs here."""
    failed = output("systemctl", "list-units", "--failed", "--plain", "--no-legend").splitlines()
    return {
        "failed": sorted(line.split()[0] for line in failed if line.split()),
        "wanted": states(questions["units"]),
        "timers": states(["socle-certificates.timer", "socle-aide.timer", "socle-logs-seal.timer"]),
    }


def states(names: list[str]) -> dict[str, dict[str, str]]:
    """What systemd says of units, by name."""
    if not names:
        return {}
    if strange := [name for name in names if not re.fullmatch(r"[\w@.:\\-]+", name)]:
        raise Unread(f"{strange[0]} n’est pas le nom d’une unité")
    said = output("systemctl", "show", "--property", ",".join(STATES), "--", *names)
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in said.strip().split("\n\n")]
    return {
        name: {
            "load": one["LoadState"],
            "active": one["ActiveState"],
            "enabled": one.get("UnitFileState", ""),
        }
        for name, one in zip(names, blocks, strict=True)
    }
