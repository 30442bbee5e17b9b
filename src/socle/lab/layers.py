"""Root file systems of the nodes: a Debian base, then one layer per kind of node, cached by what went in.

A layer is a directory ``cache_dir()/layers/<digest>/root``, used as a lower directory of overlayfs. It
appears under its name only when complete; a build that was killed leaves ``.build-*``, which the next one
removes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time

from socle.lab.build import SCRIPTS, layers_dir, log_file, only_one_builder, run_in_root, workspace
from socle.lab.plan import LabNode, LabPlan, kinds
from socle.lab.process import PRIVATE_NAMESPACES, run, run_logged

Progress = Callable[[str], None]

RECIPE = 1
"""Raise it when a script here changes what it leaves in a layer."""
BUILDS_AT_ONCE = 2
KEPT_SECONDS = 24 * 3600
BASE_PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "netbase",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)
# Manual pages and translations are never read in a lab and cost a quarter of the unpacking.
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
)


@dataclass(frozen=True)
class Layer:
    """A finished layer: its directory holds ``root`` and the list of packages asked for."""

    digest: str
    lowers: tuple[Path, ...] = ()
    """Roots below this one, the nearest first."""

    @property
    def root(self) -> Path:
        """The root directory of this layer alone."""
        return layers_dir() / self.digest / "root"

    @property
    def roots(self) -> tuple[Path, ...]:
        """All roots in overlayfs order, the uppermost first."""
        return (self.root, *self.lowers)


def ensure_layers(plan: LabPlan, nodes: Sequence[LabNode], progress: Progress) -> dict[str, Layer]:
    """Build the layers of these nodes that are missing; return each node's layer by its name.

    Raises:
        SocleError: a package cannot be had, the disk is full, the mirror does not answer.
    """
    with only_one_builder():
        base = _ensure_base(plan, progress)
        missing = {wanted: group for wanted, group in kinds(nodes).items() if not _is_built(plan, wanted)}
        with ThreadPoolExecutor(BUILDS_AT_ONCE) as pool:
            builds = [
                pool.submit(_build_kind, kind_layer(plan, base, packages), packages, group, progress)
                for packages, group in missing.items()
            ]
            for build in builds:
                build.result()
        layers = {node.name: layer_of(plan, node) for node in nodes}
        for root in {root for layer in layers.values() for root in layer.roots}:
            os.utime(root.parent)
    return layers


def layer_of(plan: LabPlan, node: LabNode) -> Layer:
    """The layer of a node; it need not exist yet."""
    return kind_layer(plan, base_layer(plan), node.packages)


def layers_in_use(states: Path) -> set[Path]:
    """Roots that a node's disk stands on, whatever the lab: ``states`` holds one folder per site."""
    records = states.glob("*/lab/nodes/*/disk.json")
    disks = [json.loads(record.read_text(encoding="utf-8")) for record in records]
    return {Path(lower) for disk in disks for lower in disk["lowers"]}


def prune(in_use: set[Path]) -> None:
    """Delete the layers that no node stands on and that nobody has asked for during ``KEPT_SECONDS``."""
    with only_one_builder():
        kept = {root.parent for root in in_use}
        for layer in layers_dir().iterdir():
            unused = layer.is_dir() and layer not in kept
            if unused and layer.stat().st_mtime < time() - KEPT_SECONDS:
                doomed = layer.with_name(f".gone-{layer.name}")
                layer.rename(doomed)
                shutil.rmtree(doomed)


def base_layer(plan: LabPlan) -> Layer:
    """The base of every node; it need not exist yet."""
    debian = plan.debian
    source = [debian.mirror, debian.suite, debian.components]
    return Layer(_digest("base", RECIPE, source, plan.user, BASE_PACKAGES, DPKG_OPTIONS))


def kind_layer(plan: LabPlan, base: Layer, packages: Iterable[str]) -> Layer:
    """The layer of one kind of node; it need not exist yet."""
    return Layer(_digest("kind", base.digest, sorted(packages)), base.roots)


def _ensure_base(plan: LabPlan, progress: Progress) -> Layer:
    base = base_layer(plan)
    if base.root.is_dir():
        return base
    debian = plan.debian
    progress(f"Base root: Debian {debian.suite} from {debian.mirror}")
    begun = monotonic()
    with workspace() as work:
        command = [
            *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
            f"--include={','.join(BASE_PACKAGES)}",
            f"--aptopt={work / 'apt.conf'}",
            *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
            f"--components={','.join(debian.components)}",
            f'--customize-hook=sh {SCRIPTS / "finish-base.sh"} "$1" {plan.user}',
            *(debian.suite, str(work / "root"), debian.mirror),
        ]
        (work / "root").rmdir()
        run_logged([*PRIVATE_NAMESPACES, *command], log_file("base"), doing="base root")
        _publish(work / "root", base, BASE_PACKAGES)
    progress(f"Base root is ready ({monotonic() - begun:.0f} s)")
    return base


def _is_built(plan: LabPlan, packages: tuple[str, ...]) -> bool:
    return kind_layer(plan, base_layer(plan), packages).root.is_dir()


def _build_kind(layer: Layer, packages: tuple[str, ...], nodes: list[LabNode], progress: Progress) -> None:
    names = ", ".join(node.name for node in nodes)
    progress(f"Packages of {names}: installing {len(packages)} and what they need")
    begun = monotonic()
    with workspace() as work:
        run_in_root(
            "install-packages.sh",
            work,
            lowers=layer.lowers,
            packages=packages,
            log=log_file(nodes[0].name),
            doing=f"packages of {names}",
        )
        _publish(work / "upper", layer, packages)
    progress(f"Packages of {names} are installed ({monotonic() - begun:.0f} s)")


def _publish(root: Path, layer: Layer, packages: Iterable[str]) -> None:
    """Give a finished root its name, in one rename."""
    parcel = root.parent / "parcel"
    parcel.mkdir()
    root.rename(parcel / "root")
    (parcel / "packages.json").write_text(json.dumps(sorted(packages)), encoding="utf-8")
    run(["sync", "--file-system", parcel], doing="layer on disk")
    parcel.rename(layers_dir() / layer.digest)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
