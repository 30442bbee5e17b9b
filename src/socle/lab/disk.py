"""A node's disk: an overlay on its layer, and the files that make it that node and no other."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from socle.errors import SocleError
from socle.lab import ssh
from socle.lab.layers import Layer
from socle.lab.plan import LabNode, LabPlan

USER_ID = 1000  # given by finish-base.sh


@dataclass(frozen=True)
class Disk:
    """The folder of a node: the overlay's ``upper/`` and ``work/``, ``root/`` to mount on, ``disk.json``."""

    folder: Path

    @property
    def exists(self) -> bool:
        """Whether the node was made before."""
        return (self.folder / "disk.json").exists()

    @property
    def root(self) -> Path:
        """Where the node sees its root; mounted only in the node's own mount namespace."""
        return self.folder / "root"

    @property
    def lowers(self) -> tuple[Path, ...]:
        """The roots that this disk stands on, the uppermost first.

        Raises:
            SocleError: one was deleted from the cache.
        """
        record = json.loads((self.folder / "disk.json").read_text(encoding="utf-8"))
        lowers = tuple(Path(path) for path in record["lowers"])
        for lower in lowers:
            if not lower.is_dir():
                raise SocleError(
                    f"the packages under the node's disk are gone ({lower})",
                    where=self.folder.name,
                    expected="the layer that the node was made from",
                    write="run `socle lab reset`, then `socle lab up`",
                )
        return lowers

    @property
    def packages(self) -> tuple[str, ...]:
        """What was asked to be installed when the disk was made or last added to."""
        return tuple(json.loads((self.folder / "disk.json").read_text(encoding="utf-8"))["packages"])

    def overlay(self) -> str:
        """Mount options of the overlay."""
        lower = ":".join(str(path) for path in self.lowers)
        return f"lowerdir={lower},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"

    def record(self, lowers: tuple[Path, ...], packages: tuple[str, ...]) -> None:
        """Note what the disk stands on."""
        draft = self.folder / ".disk.json.new"
        content = {"lowers": [str(path) for path in lowers], "packages": packages}
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.rename(self.folder / "disk.json")

    def remove(self) -> None:
        """Delete the disk and all that the node wrote."""
        if self.folder.exists():
            shutil.rmtree(self.folder)


def make_disk(plan: LabPlan, node: LabNode, layer: Layer, disk: Disk, authorized_keys: list[str]) -> None:
    """Make the disk of a node that has none; appears only when complete."""
    draft = Disk(disk.folder.with_name(f".{disk.folder.name}.new"))
    draft.remove()
    disk.remove()
    for part in ("upper", "work", "root"):
        (draft.folder / part).mkdir(parents=True, mode=0o755)
    draft.folder.chmod(0o700)
    upper = draft.folder / "upper"
    upper.chmod(0o755)
    _write(upper, "etc/machine-id", f"{uuid.uuid4().hex}\n", mode=0o444)
    _write(upper, "etc/hostname", f"{node.name}\n")
    _write(upper, "etc/hosts", hosts_file(plan))
    for name, content in network_files(plan, node).items():
        _write(upper, f"etc/systemd/network/{name}", content)
    ssh.ensure_key(_make_parents(upper, "etc/ssh/ssh_host_ed25519_key"), node.name)
    keys = "".join(f"{key}\n" for key in authorized_keys)
    _write(upper, f"home/{plan.user}/.ssh/authorized_keys", keys, mode=0o600)
    _give_home(upper / "home" / plan.user)
    draft.record(layer.roots, node.packages)
    draft.folder.rename(disk.folder)


def host_key(disk: Disk) -> str:
    """The node's public host key."""
    return (disk.folder / "upper/etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="ascii").strip()


def hosts_file(plan: LabPlan) -> str:
    """``/etc/hosts``: every node by its address in the admin zone."""
    others = "".join(f"{other.address} {other.name}\n" for other in plan.nodes)
    return f"127.0.0.1 localhost\n{others}"


def network_files(plan: LabPlan, node: LabNode) -> dict[str, str]:
    """The systemd-networkd files of a node, one per interface; no route beyond its own zones, no IPv6."""
    result = {}
    for cable in node.cables:
        lines = [
            "[Match]",
            f"Name={cable.device}",
            "",
            "[Network]",
            "LinkLocalAddressing=no",
            "IPv6AcceptRA=no",
        ]
        lines += ["LLDP=no", "ConfigureWithoutCarrier=yes"]
        if cable.address is not None:
            lines.append(f"Address={cable.address}")
        lines += ["", "[Link]", f"MTUBytes={plan.zone(cable.zone).mtu}"]
        result[f"10-{cable.device}.network"] = "\n".join(lines) + "\n"
    return result


def _make_parents(upper: Path, path: str) -> Path:
    """Make the folders of a path, readable by all: an upper folder's mode hides that of the layer below."""
    current = upper
    for part in Path(path).parent.parts:
        current /= part
        if not current.exists():
            current.mkdir(mode=0o755)
            current.chmod(0o755)
    return upper / path


def _write(upper: Path, path: str, content: str, *, mode: int = 0o644) -> None:
    file = _make_parents(upper, path)
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)


def _give_home(home: Path) -> None:
    (home / ".ssh").chmod(0o700)
    for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
        os.chown(path, USER_ID, USER_ID)
