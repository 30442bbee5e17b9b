"""Builds the binaries of ``tools/`` once and keeps them under a hash of what went in."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from socle.paths import cache_dir
from socle.tools.failures import explain
from socle.tools.go import build_environment, find_go
from socle.tools.progress import OnProgress, Progress, last_duration, remember_duration, to_stderr
from socle.tools.recipe import Recipe, recipe

# A report every so many seconds while Go works.
REPORT_EVERY = 10.0

UNFINISHED = ".building-"


@dataclass(frozen=True)
class Verification:
    """The SHA-256 of two builds of one binary, the second from nothing and in another folder."""

    name: str
    cached: str
    rebuilt: str

    @property
    def reproducible(self) -> bool:
        return self.cached == self.rebuilt


def binary(name: str, on_progress: OnProgress = to_stderr) -> Path:
    """The path of a binary, built first if the cache does not have it.

    Raises:
        SocleError: unknown name, Go missing or too old, or the build failed.
    """
    return build([name], on_progress)[name]


def build(names: Iterable[str], on_progress: OnProgress = to_stderr) -> dict[str, Path]:
    """The paths of several binaries, by name; the missing ones are built one after the other.

    Kill-safe: Go writes beside the cache and the result is renamed into it, so what the cache holds is whole.
    One build runs at a time on a machine; a second one waits and says so.

    Raises:
        SocleError: as ``binary``.
    """
    wanted = [recipe(name) for name in names]
    return {item.name: cached(item) or _build_alone(item, on_progress) for item in wanted}


def cached(item: Recipe) -> Path | None:
    """The binary of a recipe if the cache has it whole, else None."""
    file = _place(item)
    record = file.parents[1] / "build.json"
    if not (file.is_file() and record.is_file()):
        return None
    return file if file.stat().st_size == json.loads(record.read_text())["size"] else None


def verify(name: str, on_progress: OnProgress = to_stderr) -> Verification:
    """Build a binary again, from nothing and in another folder, and compare it with the one of the cache.

    Takes as long as a cold build: Go's build cache is not used, its module cache is.
    """
    item = recipe(name)
    first = binary(name, on_progress)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=_folder()) as scratch:
        copy = Path(scratch, "elsewhere", "source")
        shutil.copytree(item.folder, copy)
        moved = Recipe(**{**item.__dict__, "folder": copy})
        again = Path(scratch, name)
        _compile(moved, again, on_progress, go_cache=Path(scratch, "go-build"))
        return Verification(name, sha256(first), sha256(again))


def sha256(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _folder() -> Path:
    folder = cache_dir() / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _build_alone(item: Recipe, on_progress: OnProgress) -> Path:
    with _lock(item.name, on_progress):
        return cached(item) or _build(item, on_progress)


def _build(item: Recipe, on_progress: OnProgress) -> Path:
    _remove_leftovers()
    scratch = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=_folder()))
    try:
        seconds = _compile(item, scratch / "bin" / item.name, on_progress)
        _keep(item, scratch, seconds)
    finally:
        if scratch.exists():
            shutil.rmtree(scratch)
    remember_duration(_folder(), item.name, seconds)
    on_progress(Progress(item.name, "is built", seconds))
    return _place(item)


def _place(item: Recipe) -> Path:
    """Where a binary belongs; ``bin`` because Pulumi's automation wants its command in such a folder."""
    return _folder() / item.key() / "bin" / item.name


def _keep(item: Recipe, scratch: Path, seconds: float) -> None:
    """Write what was built beside it, then rename the whole folder into the cache."""
    file = scratch / "bin" / item.name
    file.chmod(0o755)
    record = {
        "name": item.name,
        "version": item.version,
        "size": file.stat().st_size,
        "sha256": sha256(file),
        "seconds": round(seconds, 1),
    }
    scratch.joinpath("build.json").write_text(json.dumps(record, indent=2) + "\n")
    scratch.chmod(0o755)
    destination = _folder() / item.key()
    if destination.exists():
        shutil.rmtree(destination)
    scratch.rename(destination)


def _remove_leftovers() -> None:
    """Remove what killed builds left; the caller holds the lock, so nobody writes there."""
    for leftover in _folder().glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)


@contextmanager
def _lock(name: str, on_progress: OnProgress) -> Iterator[None]:
    """Hold the build lock of this machine's cache; the kernel frees it when the process dies."""
    with (_folder() / ".lock").open("w") as stream:
        start = reported = time.monotonic()
        while not _try_lock(stream.fileno()):
            if time.monotonic() - reported >= REPORT_EVERY or reported == start:
                reported = time.monotonic()
                on_progress(Progress(name, "waits for another build", reported - start))
            time.sleep(0.5)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _compile(item: Recipe, output: Path, on_progress: OnProgress, go_cache: Path | None = None) -> float:
    """Run ``go build`` and report on it; gives the seconds that it took."""
    go = find_go()
    environment = build_environment(go, item)
    if go_cache:
        environment["GOCACHE"] = str(go_cache)
    command = [*_dies_with_us(), str(go.path), "build", *item.flags(), "-o", str(output), item.package]
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(
            command, cwd=item.folder, env=environment, stdout=messages, stderr=subprocess.STDOUT
        )
        try:
            _watch(process, item, start, on_progress)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            messages.seek(0)
            raise explain(item, process.returncode, messages.read())
    return time.monotonic() - start


def _watch(process: subprocess.Popen[bytes], item: Recipe, start: float, on_progress: OnProgress) -> None:
    last = last_duration(_folder(), item.name)
    while True:
        on_progress(Progress(item.name, "is being built", time.monotonic() - start, last))
        try:
            process.wait(timeout=REPORT_EVERY)
        except subprocess.TimeoutExpired:
            continue
        return


def _dies_with_us() -> list[str]:
    """A prefix that makes the kernel end the build when this process is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
