"""One running node: a systemd-nspawn container in a cgroup of its own, whoever is PID 1 on the machine."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from socle.errors import ExitCode, SocleError
from socle.lab.build import SCRIPTS
from socle.lab.disk import Disk
from socle.lab.process import run

SSH_PORT = 22
BOOT_SECONDS = 90
STOP_SECONDS = 10
"""How long a node may take to stop its services before what is left of it is killed."""
POLL_SECONDS = 0.1

OPTIONS = (
    "--boot",
    "--register=no",
    "--keep-unit",
    "--quiet",
    "--console=read-only",
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    # libvirt and OVS lock memory and raise limits; nodes configure their own interfaces.
    "--capability=CAP_NET_ADMIN,CAP_SYS_RESOURCE,CAP_IPC_LOCK,CAP_SYSLOG",
    "--rlimit=RLIMIT_MEMLOCK=infinity",
    "--rlimit=RLIMIT_NOFILE=1024:1048576",
    "--bind=/dev/net/tun",
    "--bind=/dev/fuse",
)


UNIT_PROPERTIES = ("Delegate=yes", "KillMode=mixed", "TimeoutStopSec=10", "LimitMEMLOCK=infinity")
"""Of the transient unit that holds a node where systemd runs."""


@dataclass(frozen=True)
class Container:
    """A node's container, named after lab and node so that several labs fit on one machine."""

    lab: str
    node: str
    disk: Disk

    @property
    def unit(self) -> str:
        """Name of the cgroup, and of the unit where systemd runs."""
        return f"socle-{self.lab}-{self.node}"

    @property
    def console(self) -> Path:
        """What the node printed while booting."""
        return self.disk.folder / "console.log"

    def running(self) -> bool:
        """Whether any process of the node is alive."""
        return bool(self.processes())

    def processes(self) -> list[int]:
        """All processes of the node, as the machine numbers them."""
        return [pid for group in self._cgroups() for pid in _read_pids(group)]

    def entered(self) -> list[str]:
        """The words that run a command as the node's root; the command comes behind them.

        Raises:
            SocleError: the node has no first process yet.
        """
        first = next((pid for pid in self.processes() if _is_first(pid)), None)
        if first is None:
            raise SocleError("is still booting", where=self.node, exit_code=ExitCode.UNREACHABLE)
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid"]
        clean = ["env", "--ignore-environment", "TERM=linux", "PATH=/usr/sbin:/usr/bin", "HOME=/root"]
        return ["nsenter", f"--target={first}", *spaces, "--wd=/", "--", *clean]

    def memory_mib(self) -> int:
        """Memory of the node's processes: proportional set size, in MiB."""
        return sum(_pss_kib(pid) for pid in self.processes()) // 1024

    def start(self, cables: list[str]) -> None:
        """Start booting; returns at once, and the node outlives the calling process.

        Args:
            cables: network cables as ``machine's end:node's end``.

        Raises:
            SocleError: the disk's layer is gone, or the container could not be launched.
        """
        network = ["--private-network", *(f"--network-veth-extra={cable}" for cable in cables)]
        self.boot(self.disk.overlay(), [*OPTIONS, f"--hostname={self.node}", *network])

    def boot(self, overlay: str, options: Sequence[str]) -> None:
        """Boot over a root; returns at once.

        Args:
            overlay: mount options of the root's overlay.
            options: of systemd-nspawn.

        Raises:
            SocleError: the container could not be launched.
        """
        cgroup = "" if _systemd_is_pid1() else str(self._make_cgroup())
        script = SCRIPTS / "boot-node.sh"
        boot = ["sh", script, cgroup, self.disk.root, overlay, f"--machine={self.unit}", *options]
        private = ["unshare", "--mount", "--propagation=private", "--", *boot]
        self._launch([str(word) for word in private])

    def wait_for_ssh(self, address: IPv4Address) -> None:
        """Return when the node's SSH server greets.

        Raises:
            SocleError: the node ended, or did not answer in time; names the console log.
        """
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline:
            if _greets(address):
                return
            if not self.running():
                break
            time.sleep(POLL_SECONDS)
        raise SocleError(
            f"does not answer on {address} port {SSH_PORT}" if self.running() else "ended while booting",
            where=self.node,
            write=f"see {self.console}",
            exit_code=ExitCode.UNREACHABLE,
        )

    def stop(self) -> None:
        """Ask the node to power off, kill what is left after ``STOP_SECONDS``, and remove its cgroup."""
        for pid in self.processes():
            if _command_of(pid) == "systemd-nspawn":
                os.kill(pid, signal.SIGTERM)
        self._wait_until_empty(STOP_SECONDS)
        if self.running():
            self.kill()
        self._remove_cgroups()

    def kill(self) -> None:
        """End every process of the node at once.

        Raises:
            SocleError: a process is still there, stuck in the kernel.
        """
        root = self._cgroup()
        if root and (root / "cgroup.kill").exists():
            (root / "cgroup.kill").write_text("1", encoding="ascii")
        self._wait_until_empty(STOP_SECONDS)
        if self.running():
            raise SocleError(f"{len(self.processes())} processes cannot be killed", where=self.node)

    def _launch(self, command: list[str]) -> None:
        doing = f"boot of {self.node}"
        if _systemd_is_pid1():
            properties = [*UNIT_PROPERTIES, f"StandardOutput=append:{self.console}"]
            description = f"Node {self.node} of lab {self.lab}"
            options = [
                f"--unit={self.unit}",
                f"--description={description}",
                *(f"--property={item}" for item in properties),
            ]
            run(["systemd-run", "--quiet", "--collect", *options, "--", *command], doing=doing)
            return
        shell = 'exec "$@" >>"$0" 2>&1 </dev/null'
        run(["setsid", "--fork", "sh", "-c", shell, str(self.console), *command], doing=doing)

    def _wait_until_empty(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _cgroup(self) -> Path | None:
        """The node's cgroup, or None where systemd runs and the unit is not loaded."""
        if not _systemd_is_pid1():
            return _cgroup_root() / self.unit
        unit = f"{self.unit}.service"
        name = run(["systemctl", "show", "--property=ControlGroup", "--value", unit], doing=self.node).strip()
        return _cgroup_root() / name.lstrip("/") if name else None

    def _cgroups(self) -> Iterator[Path]:
        """The node's cgroup and all below it, the deepest first."""
        root = self._cgroup()
        if root and root.is_dir():
            for folder, _, _ in os.walk(root, topdown=False):
                yield Path(folder)

    def _make_cgroup(self) -> Path:
        path = _cgroup_root() / self.unit
        path.mkdir(exist_ok=True)
        return path

    def _remove_cgroups(self) -> None:
        """Remove the empty cgroups; nspawn mirrors them in the first version's hierarchy, if there is one."""
        if _systemd_is_pid1():
            return
        for root in {_cgroup_root(), Path("/sys/fs/cgroup/systemd")}:
            for folder, _, _ in os.walk(root / self.unit, topdown=False):
                _remove_cgroup(Path(folder))


def _remove_cgroup(folder: Path) -> None:
    """Remove an empty cgroup. The last processes of a node are gone from one hierarchy before the other."""
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


def _systemd_is_pid1() -> bool:
    """As sd_booted(3) tells."""
    return Path("/run/systemd/system").is_dir()


def _cgroup_root() -> Path:
    """Where the unified hierarchy is: alone, or beside the first version's."""
    hybrid = Path("/sys/fs/cgroup/unified")
    return hybrid if hybrid.is_dir() else Path("/sys/fs/cgroup")


def _read_pids(group: Path) -> list[int]:
    try:
        return [int(pid) for pid in (group / "cgroup.procs").read_text(encoding="ascii").split()]
    except (FileNotFoundError, OSError):  # the group ended while it was read (ENODEV)
        return []


def _is_first(pid: int) -> bool:
    """Whether a process is the first of its PID namespace, which is not the machine's own."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _greets(address: IPv4Address) -> bool:
    try:
        with socket.create_connection((str(address), SSH_PORT), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
