"""Where layers are built: a workspace, one builder at a time, and the packages that all builds share."""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from socle.lab.process import PRIVATE_NAMESPACES, run, run_logged
from socle.paths import cache_dir

SCRIPTS = Path(__file__).parent


def layers_dir() -> Path:
    """Where layers are kept; closed to others, since programs in them have special rights."""
    path = cache_dir() / "layers"
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def run_in_root(
    script: str, work: Path, *, lowers: Iterable[Path], packages: Iterable[str], log: Path, doing: str
) -> None:
    """Run one of the scripts that read ``enter-root.sh``, in namespaces that vanish with it.

    Raises:
        SocleError: a package cannot be had or installed.
    """
    lower = ":".join(str(path) for path in lowers)
    command: list[str | Path] = ["sh", SCRIPTS / script, work, lower, apt_cache(), *packages]
    run_logged([*PRIVATE_NAMESPACES, *command], log, doing=doing)


@contextmanager
def workspace() -> Iterator[Path]:
    """A directory beside the layers with what ``enter-root.sh`` wants; gone at the end."""
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=layers_dir()))
    try:
        for part in ("upper", "work", "root"):
            (work / part).mkdir(mode=0o755)
        (work / "apt.conf").write_text(acquire_settings(), encoding="utf-8")
        yield work
    finally:
        shutil.rmtree(work)


@contextmanager
def only_one_builder() -> Iterator[None]:
    """Wait for another build of layers on this machine, then clear what killed builds left."""
    with (layers_dir() / ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in layers_dir().glob(".build-*"):
            shutil.rmtree(left)
        for left in layers_dir().glob(".gone-*"):
            shutil.rmtree(left)
        yield


def acquire_settings() -> str:
    """The machine's own ways to reach a mirror (proxy, checks, time-outs), as lines of apt.conf.

    Names of indexes and languages stay out: those belong to the node's release of apt.
    """
    others = "IndexTargets|Changelogs|Languages|CompressionTypes|GzipIndexes|cdrom"
    wanted = re.compile(rf'^Acquire::(?!{others})\S+ "[^"]+";$')
    lines = run(["apt-config", "dump", "Acquire"], doing="apt settings").splitlines()
    return "".join(f"{line}\n" for line in lines if wanted.match(line))


def apt_cache() -> Path:
    """Packages and package lists, shared by all builds."""
    path = cache_dir() / "apt"
    for part in ("archives/partial", "lists/partial"):
        (path / part).mkdir(parents=True, exist_ok=True)
    return path


def log_file(name: str) -> Path:
    """Where a build writes what its commands say."""
    return cache_dir() / "log" / f"layer-{name}.log"
