"""The daily audit on the deploying machine: a timer and a confined service of its systemd, one for each site.

The deploying machine is the one that has the chain of bundles, the signer's login to OpenBao, and the way in
to each host; none of these has to be laid anywhere else for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from socle.errors import ExitCode, SocleError
from socle.paths import cache_dir, project_root, state_dir
from socle.site import Site

UNITS: Final = Path("/etc/systemd/system")
BOOTED: Final = Path("/run/systemd/system")
"""There where systemd runs (sd_booted(3))."""
TOLD: Final = "SOCLE_STATION"
"""Variable of the service's environment: a file with what this machine says outside of the confinement."""
CHANGED: Final = 10
"""How a daily audit ends that found something worse: it was done, the alert is out."""

SERVICE: Final = """\
[Unit]
Description=Daily audit of the site {name}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
# This machine is read outside of the confinement. Where that fails, the audit tells that it was not read.
ExecStartPre=-+{python} -m socle.audit.collect.station {folder} {told}
ExecStart={program} --site {folder} audit daily
SuccessExitStatus={changed}
TimeoutStartSec=30min
Nice=5
WorkingDirectory={root}
RuntimeDirectory=socle-audit-{name}
Environment=HOME=/run/socle-audit-{name} ANSIBLE_HOME=/run/socle-audit-{name}/ansible
Environment={variable}={told}
Environment=SOCLE_STATE={states} SOCLE_CACHE={cache} PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8

UMask=0077
# Packets of the port scan; files of the checkout that belong to somebody else.
CapabilityBoundingSet=CAP_NET_RAW CAP_DAC_READ_SEARCH
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={state} {cache}
# The checkout may be there.
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""
TIMER: Final = """\
[Unit]
Description=Daily audit of the site {name}

[Timer]
OnCalendar=*-*-* {at}:00 {zone}
RandomizedDelaySec=10min
Persistent=true

[Install]
WantedBy=timers.target
"""


def units(site: Site) -> dict[str, str]:
    """The two units of a site by the names of their files."""
    state = state_dir(site.name)
    words = {
        "name": site.name,
        "python": _word(Path(sys.executable)),
        "variable": TOLD,
        "told": f"/run/{stem(site)}/station.json",
        "program": _word(Path(sys.executable).with_name("socle")),
        "folder": _word(site.folder.resolve()),
        "root": _word(project_root()),
        "state": _word(state),
        "states": _word(state.parent),
        "cache": _word(cache_dir()),
        "changed": CHANGED,
        "at": site.settings.audit.daily,
        "zone": site.settings.timezone,
    }
    return {f"{stem(site)}.service": SERVICE.format(**words), f"{stem(site)}.timer": TIMER.format(**words)}


def stem(site: Site) -> str:
    """What the names of its units begin with."""
    return f"socle-audit-{site.name}"


def start(site: Site, folder: Path = UNITS) -> bool:
    """Lay the units and start the timer; false when all was so already.

    Raises:
        SocleError: this machine has no systemd, or not by this account (exit code 4).
    """
    _able(folder)
    wanted = units(site)
    changed = [name for name, text in wanted.items() if _text(folder / name) != text]
    for name in changed:
        (folder / name).write_text(wanted[name], "utf-8")
        (folder / name).chmod(0o644)
    if changed:
        _systemctl("daemon-reload")
    timer = f"{stem(site)}.timer"
    runs = all(_systemctl(asked, timer, judge=False) for asked in ("is-enabled", "is-active"))
    if not changed and runs:
        return False
    _systemctl("enable", timer)
    _systemctl("restart", timer)
    return True


def stop(site: Site, folder: Path = UNITS) -> bool:
    """Stop the timer and take its units away; false when there were none."""
    _able(folder)
    there = [folder / name for name in units(site) if (folder / name).exists()]
    if not there:
        return False
    _systemctl("disable", "--now", f"{stem(site)}.timer")
    for path in there:
        path.unlink()
    _systemctl("daemon-reload")
    return True


def _able(folder: Path) -> None:
    if not BOOTED.is_dir():
        raise SocleError(
            "systemd does not run here",
            where="this machine",
            write="have another timer run `socle audit daily` every day, as root",
            exit_code=ExitCode.PREREQUISITE,
        )
    if not os.access(folder, os.W_OK):
        raise SocleError(
            "cannot be written",
            where=str(folder),
            write="run it as root",
            exit_code=ExitCode.PREREQUISITE,
        )


def _text(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _systemctl(*words: str, judge: bool = True) -> bool:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if judge and done.returncode != 0:
        raise SocleError(f"fails: {done.stderr.strip()[:200]}", where=f"systemctl {' '.join(words)}")
    return done.returncode == 0


def _word(path: Path) -> str:
    """A path as one word of a unit (systemd.syntax(7), and % of systemd.unit(5))."""
    text = str(path).replace("%", "%%")
    if any(character.isspace() or character in "\"'\\" for character in text):
        write = "a path without blanks and quotes"
        raise SocleError("no unit can name this place", where=str(path), write=write)
    return text
