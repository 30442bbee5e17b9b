"""Ask nodes about themselves: one SSH call for each, all at once, by a script of the standard library."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from socle.deploy.playbook import unreachable
from socle.errors import SocleError
from socle.paths import state_dir
from socle.site import Host, Site
from socle.site.entrance import reason

CONNECT_SECONDS = 10
SECONDS = 60
AT_ONCE = 32
SSH_FAILED = 255


@dataclass(frozen=True)
class Unit:
    """A systemd unit, as systemd says."""

    name: str
    load: str
    active: str
    sub: str

    @property
    def well(self) -> bool:
        """Whether it runs."""
        return self.load == "loaded" and self.active == "active"


@dataclass(frozen=True)
class Certificate:
    """A certificate in ``/etc/socle/tls``."""

    name: str
    subject: str
    days_left: int


@dataclass(frozen=True)
class NodeFacts:
    """What a node says of itself; sizes in MiB."""

    debian: str
    uptime_seconds: int
    load: float
    cores: int
    memory_total: int
    memory_available: int
    disk_total: int
    disk_free: int
    units: tuple[Unit, ...]
    certificates: tuple[Certificate, ...]


def ask(site: Site, host: Host, units: Sequence[str] = ()) -> NodeFacts:
    """What one node says.

    Raises:
        SocleError: it does not answer, or the account cannot become root there (exit code 6).
    """
    script = files("socle.deploy").joinpath("node_facts.py").read_text(encoding="utf-8")
    remote = shlex.join(["sudo", "-n", "python3", "-", *units])
    try:
        done = subprocess.run(
            [*ssh(site, host), remote],
            input=script,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise unreachable(site, host.name, f"no answer within {SECONDS} s") from error
    if done.returncode != 0:
        raise _failed(site, host, done.returncode, done.stderr)
    return _facts(json.loads(done.stdout))


def ask_all(
    site: Site, hosts: Collection[Host], units: Mapping[str, Sequence[str]] | None = None
) -> dict[str, NodeFacts | SocleError]:
    """What all nodes say, by name; for one that does not answer, its error.

    Args:
        units: the systemd units to ask each node about.
    """

    def one(host: Host) -> NodeFacts | SocleError:
        try:
            return ask(site, host, (units or {}).get(host.name, ()))
        except SocleError as error:
            return error

    with ThreadPoolExecutor(min(AT_ONCE, max(len(hosts), 1))) as pool:
        return dict(zip([host.name for host in hosts], pool.map(one, hosts), strict=True))


def ssh(site: Site, host: Host, account: str | None = None, key: Path | None = None) -> list[str]:
    """The words that open a session on a node and never ask anything; a command for it comes behind them.

    Args:
        account: another than the deploying one.
        key: what it comes in by, its certificate beside it.
    """
    config = state_dir(site.name) / "ssh_config"
    options = ["-F", str(config)] if config.is_file() else []
    if account or not options:
        options += ["-l", account or site.settings.deploy_user]
    if key:
        options += ["-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "ControlPath=none"]
    return ["ssh", *options, "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}", host.address]


def _failed(site: Site, host: Host, status: int, said: str) -> SocleError:
    why = reason(said, f"ssh ended with status {status}")
    if status == SSH_FAILED:
        return unreachable(site, host.name, why)
    return SocleError(
        f"cannot be asked as root ({why})",
        where=host.name,
        expected=f"that {site.settings.deploy_user} may run `sudo -n python3`",
        exit_code=unreachable(site, host.name, "").exit_code,
    )


def _facts(answer: dict[str, Any]) -> NodeFacts:
    units = tuple(Unit(**unit) for unit in answer.pop("units"))
    certificates = tuple(Certificate(**found) for found in answer.pop("certificates"))
    return NodeFacts(**answer, units=units, certificates=certificates)
