"""Guest images: the archive that the kernel reads, the order of its modules, files fetched and checked."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from socle.errors import SocleError
from socle.images import image_files, initramfs, web
from socle.images.files import disk_format
from socle.lab.plan import Debian
from socle.site.settings import Image

DEBIAN = Debian("http://mirror.invalid/debian", "trixie")
CONTENT = b"QFI\xfb" + bytes(range(256))


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    """A web server on the loopback that has one image."""
    folder = tmp_path / "origin"
    folder.mkdir()
    (folder / "image").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/image"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("SOCLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def image(url: str, sha256: str) -> Image:
    return Image(name="essai", url=url, sha256=sha256)


def read_archive(archive: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Path, mode and content of each member, read as the kernel does (init/initramfs.c)."""
    position = 0
    while True:
        header = archive[position : position + 110]
        assert header[:6] == b"070701"
        fields = [int(header[i : i + 8], 16) for i in range(6, 110, 8)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = archive[position + 110 : position + 110 + length].rstrip(b"\0").decode()
        if name == "TRAILER!!!":
            return
        start = (position + 110 + length + 3) & ~3
        yield name, mode, archive[start : start + size]
        position = (start + size + 3) & ~3


def test_the_archive_is_what_the_kernel_reads(tmp_path: Path) -> None:
    members = [
        initramfs.folder("bin"),
        initramfs.file("bin/tool", b"#!/bin/sh\n", executable=True),
        initramfs.link("bin/alias", "tool"),
    ]
    initramfs.write(members, tmp_path / "ramdisk")
    archive = gzip.decompress((tmp_path / "ramdisk").read_bytes())
    assert len(archive) % 512 == 0
    assert list(read_archive(archive)) == [
        ("bin", 0o040755, b""),
        ("bin/tool", 0o100755, b"#!/bin/sh\n"),
        ("bin/alias", 0o120777, b"tool"),
    ]


def test_the_same_members_give_the_same_bytes(tmp_path: Path) -> None:
    members = [initramfs.folder("etc"), initramfs.file("etc/name", b"essai\n")]
    for name in ("first", "second"):
        initramfs.write(members, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_modules_are_loaded_after_what_they_need(tmp_path: Path) -> None:
    drivers = tmp_path / "usr/lib/modules/6.12/kernel/drivers"
    drivers.mkdir(parents=True)
    for name, needs in {
        "virtio_net": "net_failover",
        "net-failover": "failover",
        "failover": "",
        "x": "",
    }.items():
        section = b"\0license=GPL\0depends=" + needs.encode() + b"\0name=" + name.encode() + b"\0"
        (drivers / f"{name}.ko.xz").write_bytes(lzma.compress(section))
    order = [path.name for path in web.load_order(tmp_path, ("virtio_net", "built_in"))]
    assert order == ["failover.ko.xz", "net-failover.ko.xz", "virtio_net.ko.xz"]


def test_only_the_mark_of_a_boot_sector_goes_from_a_kernel() -> None:
    kernel = bytes(range(256)) * 3
    changed = {
        place for place, (old, new) in enumerate(zip(kernel, web.unmarked(kernel), strict=True)) if old != new
    }
    assert changed == {510, 511}


def test_an_image_is_fetched_once_and_says_its_format(origin: str, cache: Path) -> None:
    said: list[str] = []
    wanted = image(origin, hashlib.sha256(CONTENT).hexdigest())
    files = image_files(wanted, DEBIAN, said.append)
    assert files.disk.read_bytes() == CONTENT
    assert files.disk_format == "qcow2"
    assert files.kernel is None
    image_files(wanted, DEBIAN, said.append)
    assert said == [f"Guest image: fetching {origin}"]


def test_another_file_than_the_one_that_was_named_is_refused(origin: str, cache: Path) -> None:
    with pytest.raises(SocleError, match=f"{origin}: has SHA-256 .*expected {'0' * 64}"):
        image_files(image(origin, "0" * 64), DEBIAN, print)
    assert [path.name for path in (cache / "images").iterdir()] == [".lock"]


def test_a_source_that_does_not_answer_is_named(cache: Path) -> None:
    with pytest.raises(SocleError, match=r"http://127\.0\.0\.1:9/image: cannot be fetched"):
        image_files(image("http://127.0.0.1:9/image", "0" * 64), DEBIAN, print)
    with pytest.raises(SocleError, match=r"file:///etc/passwd: is not fetched; expected https"):
        image_files(
            Image.model_construct(name="x", url="file:///etc/passwd", sha256="0" * 64, build=None),
            DEBIAN,
            print,
        )


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(SocleError, match="image essai: no recipe absent; expected web"):
        image_files(Image(name="essai", build="absent"), DEBIAN, print)


def test_a_raw_disk_is_raw(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"\0" * 512)
    assert disk_format(tmp_path / "disk") == "raw"
