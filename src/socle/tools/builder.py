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
from dataclasses import dataclass, replace
from pathlib import Path

from socle.paths import cache_dir
from socle.tools.failures import explain
from socle.tools.go import build_environment, find_go
from socle.tools.progress import BUILT, OnProgress, Progress, last_duration, remember_duration, to_stderr
from socle.tools.recipe import Recipe, recipe

# A report every so many seconds while Go works.
REPORT_EVERY = 10.0

# Seconds that Go gets to stop when a build is interrupted.
STOP_WITHIN = 15.0

UNFINISHED = ".building-"

WITHOUT_BUILDS = "SOCLE_RENDER_WITHOUT_BUILDS"
"""Set while roles are rendered for an audit: minutes of compiling would tell it nothing."""
NOT_BUILT = "not-compiled-yet"
"""What the hash of a binary that the cache does not have reads like then; as long as the part in its path."""


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
    record = file.with_name("build.json")
    if not (file.is_file() and record.is_file()):
        return None
    return file if file.stat().st_size == json.loads(record.read_text())["size"] else None


def verify(name: str, on_progress: OnProgress = to_stderr) -> Verification:
    """Build a binary again, from nothing and in another folder, and compare it with the one of the cache.

    Takes as long as a cold build: Go's build cache is not used, its module cache is.
    """
    item = recipe(name)
    first = binary(name, on_progress)
    with _lock(name, on_progress), _scratch() as scratch:
        moved = replace(item, folder=scratch / "elsewhere" / "source")
        shutil.copytree(item.folder, moved.folder)
        _compile(moved, scratch, on_progress, go_cache=scratch / "go-build")
        return Verification(name, sha256(first), sha256(scratch / "bin" / name))


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
    with _scratch() as scratch:
        seconds = _compile(item, scratch, on_progress)
        _keep(item, scratch / "bin", seconds)
    remember_duration(_folder(), item.name, seconds)
    on_progress(Progress(item.name, BUILT, seconds))
    return _place(item)


def _place(item: Recipe) -> Path:
    """Where a binary belongs; ``bin`` because Pulumi's automation wants its command in such a folder."""
    return _folder() / item.key() / "bin" / item.name


def _keep(item: Recipe, built: Path, seconds: float) -> None:
    """Write what was built beside it, then rename the whole folder into the cache."""
    file = built / item.name
    file.chmod(0o755)
    record = {
        "name": item.name,
        "version": item.version,
        "size": file.stat().st_size,
        "sha256": sha256(file),
        "seconds": round(seconds, 1),
    }
    built.joinpath("build.json").write_text(json.dumps(record, indent=2) + "\n")
    destination = _place(item).parent
    if destination.exists():
        shutil.rmtree(destination)
    destination.parent.mkdir(exist_ok=True)
    built.rename(destination)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder to build in, beside the cache; the caller holds the lock, so leftovers are of the dead."""
    for leftover in _folder().glob(f"{UNFINISHED}*"):
        # A compiler whose Go was killed may still write there for seconds; the next build removes the rest.
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=_folder()))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch)


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


def _compile(item: Recipe, scratch: Path, on_progress: OnProgress, go_cache: Path | None = None) -> float:
    """Run ``go build`` into ``bin`` of a folder and report on it; gives the seconds that it took."""
    go = find_go()
    environment = {**build_environment(go, item), "GOTMPDIR": str(scratch)}
    if go_cache:
        environment["GOCACHE"] = str(go_cache)
    output = str(scratch / "bin" / item.name)
    command = [*_dies_with_us(), str(go.path), "build", *item.flags(), "-o", output, item.package]
    last = None if go_cache else last_duration(_folder(), item.name)
    start = time.monotonic()
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            command, cwd=item.folder, env=environment, stdout=messages, stderr=subprocess.STDOUT
        )
        try:
            _watch(process, item.name, start, last, on_progress)
        finally:
            _stop(process)
        if process.returncode != 0:
            messages.seek(0)
            raise explain(item, process.returncode, messages.read().decode(errors="replace"))
    return time.monotonic() - start


def _watch(
    process: subprocess.Popen[bytes], name: str, start: float, last: float | None, on_progress: OnProgress
) -> None:
    """Report until the process ends."""
    while True:
        on_progress(Progress(name, "is being built", time.monotonic() - start, last))
        try:
            process.wait(timeout=REPORT_EVERY)
        except subprocess.TimeoutExpired:
            continue
        return


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a build that was interrupted; Go waits for its compilers and removes what they wrote."""
    process.terminate()
    try:
        process.wait(timeout=STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _dies_with_us() -> list[str]:
    """A prefix that makes the kernel end the build when this process is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
