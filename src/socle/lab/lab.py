"""The lab as a whole: nodes as containers on one machine, made, stopped, looked at and forgotten."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from socle import catalogue
from socle.errors import ExitCode, SocleError
from socle.lab import names, network, prerequisites, ssh
from socle.lab.additions import add_packages, missing_packages
from socle.lab.container import Container
from socle.lab.disk import Disk, host_key, make_disk
from socle.lab.from_site import plan_from_site
from socle.lab.layers import Layer, ensure_layers, layer_of, layers_in_use, prune
from socle.lab.plan import LabNode, LabPlan
from socle.paths import state_dir

if TYPE_CHECKING:
    from socle.site import Site

Progress = Callable[[str], None]
"""Called with one line for each state reached."""

RUN_DIR = Path("/run/socle")


@dataclass(frozen=True)
class NodeStatus:
    """One node as ``socle lab status`` shows it."""

    name: str
    groups: tuple[str, ...]
    address: str
    state: Literal["absent", "stopped", "running"]
    memory_mib: int = 0
    lacks: tuple[str, ...] = ()
    """Packages that the catalogue asks for since the node's disk was made; the next ``up`` adds them."""


@dataclass(frozen=True)
class Lab:
    """The lab of one site.

    Example:
        >>> Lab.of(socle.site.load(project_root() / "inventories/lab")).up(print)
    """

    plan: LabPlan

    @classmethod
    def of(cls, site: Site) -> Lab:
        """The lab that stands for a site's machines.

        Raises:
            SocleError: the site is no lab: its machines and what this one knows of them are not ours to make
                and to delete (exit code 2).
        """
        if not site.is_lab:
            raise SocleError(
                "this site is no lab",
                where=site.name,
                expected="`openbao.custody: test-custodians` in site.yml",
                exit_code=ExitCode.USAGE,
            )
        return cls(plan_from_site(site, catalogue.load()))

    @property
    def state(self) -> Path:
        """Where keys, ``ssh_config``, ``known_hosts`` and the nodes' disks are kept."""
        return state_dir(self.plan.name)

    @property
    def ssh_config(self) -> Path:
        """For ``ssh -F`` to any node by its name or address."""
        return self.state / "ssh_config"

    def up(self, progress: Progress) -> None:
        """Make or start what is missing; nodes that run are left alone.

        Raises:
            SocleError: exit code 4 for what the machine lacks, 5 when another ``socle lab`` is at work.
        """
        with self._lock():
            running = [node for node in self.plan.nodes if self.container(node.name).running()]
            if not running:
                prerequisites.check(layers_cached=self._layers_cached())
            prerequisites.install_missing(progress)
            if not running:
                network.check_free(self.plan)
                network.check_forwarding()
            self._make_disks(progress)
            network.ensure_bridges(self.plan)
            names.publish(self.plan.name, self.plan.names)
            with ThreadPoolExecutor(len(self.plan.nodes)) as pool:
                list(pool.map(lambda node: self._start(node, progress), self.plan.nodes))
            self._add_packages(progress)
            prune(layers_in_use(self.state.parent))

    def down(self, progress: Progress) -> None:
        """Stop the nodes and remove every trace but their disks, keys and layers.

        Raises:
            SocleError: a process cannot be killed.
        """
        with self._lock() as lock:
            nodes = self._node_names()
            with ThreadPoolExecutor(max(len(nodes), 1)) as pool:
                list(pool.map(lambda name: self._stop(name, progress), nodes))
            network.remove_bridges(self.plan)
            names.withdraw(self.plan.name)
            lock.unlink()
            self._run_dir().rmdir()

    def reset(self, progress: Progress) -> None:
        """Stop the nodes and delete their disks: the next ``up`` starts from nothing but the layers."""
        self.down(progress)
        for name in self._node_names():
            self.disk(name).remove()
        progress("The nodes' disks are deleted")

    def status(self) -> list[NodeStatus]:
        """What each node does now."""
        return [self._status_of(node) for node in self.plan.nodes]

    def shell(self, node: str, command: list[str] | None = None, *, as_root: bool = False) -> int:
        """Open a session on a node as ``socle`` (or run one command) and return its exit status.

        Args:
            as_root: enter the container as its root, without SSH and what opens it.

        Raises:
            SocleError: no such node, or it does not run.
        """
        if node not in self._names():
            raise SocleError(f"no node {node}", expected=" or ".join(self._names()), exit_code=ExitCode.USAGE)
        if not self.container(node).running():
            write = "run `socle lab up`"
            raise SocleError("is not running", where=node, write=write, exit_code=ExitCode.UNREACHABLE)
        session = ["ssh", "-F", str(self.ssh_config), node, *(command or [])]
        if as_root:
            session = [*self.container(node).entered(), *(command or ["/bin/bash", "--login"])]
        return subprocess.run(session, check=False).returncode

    def disk(self, node: str) -> Disk:
        """The disk of a node, made or not."""
        return Disk(self.state / "lab/nodes" / node)

    def container(self, node: str) -> Container:
        """The container of a node, running or not."""
        return Container(self.plan.name, node, self.disk(node))

    def _make_disks(self, progress: Progress) -> None:
        without = tuple(node for node in self.plan.nodes if not self.disk(node.name).exists)
        layers = ensure_layers(self.plan, without, progress) if without else {}
        lab_key = ssh.ensure_key(self.state / "id_ed25519", f"socle {self.plan.name}")
        for node in without:
            make_disk(self.plan, node, layers[node.name], self.disk(node.name), [lab_key])
        host_keys = {node.name: host_key(self.disk(node.name)) for node in self.plan.nodes}
        ssh.write_client_files(self.plan, self.state, host_keys)

    def _start(self, node: LabNode, progress: Progress) -> None:
        container = self.container(node.name)
        if container.running():
            network.attach(self.plan, node)
            container.wait_for_ssh(node.address)
            progress(f"{node.name} was running")
            return
        network.detach(self.plan, node.name)
        container.start(network.cables(self.plan, node))
        network.attach(self.plan, node)
        container.wait_for_ssh(node.address)
        progress(f"{node.name} answers on {node.address}")

    def _add_packages(self, progress: Progress) -> None:
        """Install what the catalogue asks for since the nodes' disks were made."""
        for node in self.plan.nodes:
            missing = missing_packages(node, self.disk(node.name))
            if missing:
                progress(f"{node.name} gets {', '.join(missing)}")
                add_packages(node, self.disk(node.name), self.ssh_config)

    def _stop(self, name: str, progress: Progress) -> None:
        container = self.container(name)
        was_running = container.running()
        container.stop()
        network.detach(self.plan, name)
        if was_running:
            progress(f"{name} is stopped")

    def _status_of(self, node: LabNode) -> NodeStatus:
        disk, container = self.disk(node.name), self.container(node.name)
        running = container.running()
        return NodeStatus(
            name=node.name,
            groups=node.groups,
            address=str(node.address),
            state="running" if running else "stopped" if disk.exists else "absent",
            memory_mib=container.memory_mib() if running else 0,
            lacks=missing_packages(node, disk) if disk.exists else (),
        )

    def _layers_cached(self) -> bool:
        return all(self._has_root(node) for node in self.plan.nodes)

    def _has_root(self, node: LabNode) -> bool:
        layer: Layer = layer_of(self.plan, node)
        return self.disk(node.name).exists or layer.root.is_dir()

    def _names(self) -> list[str]:
        return [node.name for node in self.plan.nodes]

    def _node_names(self) -> list[str]:
        """Nodes of the plan, and those of an earlier plan that still have a disk."""
        folder = self.state / "lab/nodes"
        kept = [path.name for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []
        return sorted({*self._names(), *kept})

    def _run_dir(self) -> Path:
        return RUN_DIR / self.plan.name

    @contextmanager
    def _lock(self) -> Iterator[Path]:
        """Hold the lab against another command; yields the lock's file, which ``down`` removes."""
        self._run_dir().mkdir(parents=True, exist_ok=True)
        path = self._run_dir() / "lock"
        with path.open("a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SocleError(
                    "another `socle lab` command is at work",
                    where=f"lab {self.plan.name}",
                    write="wait for it",
                    exit_code=ExitCode.LOCKED,
                ) from error
            yield path
