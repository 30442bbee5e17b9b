"""The image ``web``: Debian's cloud kernel and a busybox that serves a page; small enough to be emulated.

It boots from a kernel and an initramfs (Glance: ``kernel_id``, ``ramdisk_id``); its disk only has a label.
The page on port 80 says who the guest is; ``/cgi-bin/volume`` writes and reads a disk, ``/cgi-bin/fetch``
asks another guest.
"""

from __future__ import annotations

import lzma
import re
from importlib.resources import files
from pathlib import Path

from socle.images import initramfs
from socle.images.debian import Archive
from socle.images.initramfs import Member
from socle.lab.process import run

RECIPE = 3
"""Raise it when the image changes, so that it is built again."""
COMMAND_LINE = "console=ttyS0"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
# The last two bring the power button: without them, stopping a server takes Nova's whole patience.
MODULES = ("virtio_net", "virtio_blk", "virtio-rng", "button", "evdev")
LIBRARIES = ("libc.so.6", "libresolv.so.2")
FOLDERS = (
    "bin",
    "dev",
    "etc",
    "etc/acpi",
    "etc/acpi/PWRF",
    "lib",
    "lib64",
    "modules",
    "proc",
    "run",
    "sys",
    "www",
    "www/cgi-bin",
)
BOOT_FLAG = (0x1FE, 0x200)
"""Of the x86 boot protocol's header (boot.rst of the kernel)."""
DISK_BYTES = 1024 * 1024


def build(archive: Archive, work: Path, result: Path) -> None:
    """Make ``kernel``, ``ramdisk`` and ``disk`` in ``result``.

    Args:
        work: an empty folder for unpacked packages.

    Raises:
        SocleError: the mirror or one of its packages cannot be had.
    """
    archive.refresh()
    for package in (archive.first_dependency(KERNEL_PACKAGE), "busybox", "libc6"):
        archive.unpack(package, work)
    kernel = next((work / "boot").glob("vmlinuz-*"))
    (result / "kernel").write_bytes(unmarked(kernel.read_bytes()))
    initramfs.write(_members(work), result / "ramdisk")
    disk = b"socle-web: boots from its kernel and ramdisk\n"
    (result / "disk").write_bytes(disk.ljust(DISK_BYTES, b"\0"))


def unmarked(kernel: bytes) -> bytes:
    """A kernel without the mark of a boot sector, which nothing reads where QEMU is given it as a kernel.

    By that mark Nova takes it for a broken disk, and refuses it where a server moves to.
    """
    begin, end = BOOT_FLAG
    return kernel[:begin] + bytes(end - begin) + kernel[end:]


def _members(root: Path) -> list[Member]:
    members = [initramfs.folder(path) for path in FOLDERS]
    members.append(initramfs.file("bin/busybox", (root / "usr/bin/busybox").read_bytes(), executable=True))
    members += [initramfs.link(f"bin/{name}", "busybox") for name in _applets(root)]
    for library in LIBRARIES:
        content = (root / "usr/lib/x86_64-linux-gnu" / library).read_bytes()
        members.append(initramfs.file(f"lib/{library}", content, executable=True))
    loader = (root / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2").read_bytes()
    members.append(initramfs.file("lib64/ld-linux-x86-64.so.2", loader, executable=True))
    order = load_order(root, MODULES)
    members += [initramfs.file(f"modules/{path.name.removesuffix('.xz')}", _module(path)) for path in order]
    names = "".join(f"{path.name.removesuffix('.xz')}\n" for path in order)
    members.append(initramfs.file("modules/order", names.encode()))
    return members + _scripts()


def _scripts() -> list[Member]:
    places = {
        "init": "init",
        "udhcpc.sh": "etc/udhcpc.sh",
        "describe": "bin/describe",
        "poweroff": "etc/acpi/PWRF/00000080",
        "volume": "www/cgi-bin/volume",
        "fetch": "www/cgi-bin/fetch",
    }
    source = files("socle.images").joinpath("web")
    contents = {place: source.joinpath(name).read_bytes() for name, place in places.items()}
    return [initramfs.file(place, content, executable=True) for place, content in contents.items()]


def load_order(root: Path, wanted: tuple[str, ...]) -> list[Path]:
    """Files of kernel modules and of all that they depend on, in loading order; not built-in ones."""
    modules = {_name(path): path for path in root.glob("usr/lib/modules/*/kernel/**/*.ko.xz")}
    order: list[Path] = []

    def add(name: str) -> None:
        path = modules.get(name.replace("-", "_"))
        if path is None or path in order:
            return
        for needed in dependencies(_module(path)):
            add(needed)
        order.append(path)

    for name in wanted:
        add(name)
    return order


def dependencies(module: bytes) -> list[str]:
    """The modules that this one names in its ``.modinfo`` section."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return found.group(1).decode().split(",") if found and found.group(1) else []


def _name(path: Path) -> str:
    return path.name.removesuffix(".ko.xz").replace("-", "_")


def _module(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes())


def _applets(root: Path) -> list[str]:
    """Busybox's own list, read with the libraries that came with it."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    loader: list[str | Path] = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries]
    listed = run([*loader, root / "usr/bin/busybox", "--list"], doing="applets of busybox")
    return [name for name in listed.split() if name != "busybox"]
