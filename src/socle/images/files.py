"""The files of a guest image, built or fetched once and cached by what they are."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from socle import durable
from socle.errors import SocleError
from socle.images import web
from socle.images.debian import Archive
from socle.lab.plan import Debian
from socle.paths import cache_dir

if TYPE_CHECKING:
    from socle.site.settings import Image

Progress = Callable[[str], None]
CHUNK = 1024 * 1024
TIMEOUT_SECONDS = 60
QCOW2_MAGIC = b"QFI\xfb"


@dataclass(frozen=True)
class ImageFiles:
    """What to upload to Glance for one image."""

    disk: Path
    disk_format: str
    """``raw`` or ``qcow2``, as the file itself says."""
    kernel: Path | None = None
    ramdisk: Path | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    """Glance properties that the image needs to boot."""


def image_files(image: Image, debian: Debian, progress: Progress) -> ImageFiles:
    """The files of an image of ``site.yml``, made when they are not in the cache.

    Args:
        image: ``build:`` names a recipe of the kit, ``url:`` with ``sha256:`` a file to fetch.
        debian: where a recipe takes its packages from.

    Raises:
        SocleError: no such recipe, the source does not answer, or the file is not the one that was named.
    """
    if image.build is None:
        disk = _fetched(str(image.url), str(image.sha256), progress)
        return ImageFiles(disk, disk_format(disk))
    if image.build != "web":
        raise SocleError(f"no recipe {image.build}", where=f"image {image.name}", expected="web")
    folder = _built(debian, progress)
    properties = {"os_command_line": web.COMMAND_LINE}
    return ImageFiles(folder / "disk", "raw", folder / "kernel", folder / "ramdisk", properties)


def disk_format(disk: Path) -> str:
    """The format that a disk file says it has."""
    with disk.open("rb") as content:
        return "qcow2" if content.read(len(QCOW2_MAGIC)) == QCOW2_MAGIC else "raw"


def _built(debian: Debian, progress: Progress) -> Path:
    parts = json.dumps(["web", web.RECIPE, debian.mirror, debian.suite, debian.components])
    result = _images() / f"web-{hashlib.sha256(parts.encode()).hexdigest()[:16]}"
    with _one_at_a_time():
        if not result.is_dir():
            progress(f"Guest image: Debian's cloud kernel from {debian.mirror}")
            with _workspace() as work:
                for part in ("apt", "root", "image"):
                    (work / part).mkdir()
                web.build(Archive(debian, work / "apt"), work / "root", work / "image")
                (work / "image").rename(result)
    return result


def _fetched(url: str, sha256: str, progress: Progress) -> Path:
    result = _images() / f"sha256-{sha256}"
    with _one_at_a_time():
        if not result.is_file():
            progress(f"Guest image: fetching {url}")
            with _workspace() as work:
                found = _download(url, work / "disk")
                if found != sha256.lower():
                    write = f"check the source, then write sha256: {found}"
                    raise SocleError(f"has SHA-256 {found}", where=url, expected=sha256, write=write)
                durable.sync_file(work / "disk")
                (work / "disk").rename(result)
    return result


def _download(url: str, path: Path) -> str:
    """Fetch a file and return its SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    if not url.startswith(("https://", "http://")):
        raise SocleError("is not fetched", where=url, expected="https:// or http://")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, path.open("wb") as output:  # noqa: S310
            while chunk := answer.read(CHUNK):
                digest.update(chunk)
                output.write(chunk)
    except (urllib.error.URLError, OSError) as error:
        raise SocleError(f"cannot be fetched ({error})", where=url) from error
    return digest.hexdigest()


def _images() -> Path:
    path = cache_dir() / "images"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _workspace() -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=_images()))
    try:
        yield work
    finally:
        shutil.rmtree(work)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for another build of images, then clear what a killed one left."""
    with (_images() / ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in _images().glob(".build-*"):
            shutil.rmtree(left)
        yield
