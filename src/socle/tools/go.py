"""The Go that builds the binaries: where it is, which version it is, and the environment it runs in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from socle.errors import ExitCode, SocleError
from socle.tools.recipe import Recipe

# Go can fetch the toolchain that a module asks for from this version on (https://go.dev/doc/toolchain).
FIRST_WITH_TOOLCHAINS = "1.21"

# Where Go may be when PATH does not name it: the archive of go.dev, Debian's versioned packages.
ELSEWHERE = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go", "/usr/lib/go-1.*/bin/go")

# A compiler lives for seconds: collecting its garbage is a third of its work. Below this it is left alone.
# Nothing of it reaches the binary, so what the user has set goes first (https://go.dev/doc/gc-guide).
COLLECTOR = {"GOGC": "off", "GOMEMLIMIT": "2GiB"}

INSTALL = (
    "install it (Debian 13: apt install golang-go; Debian 12: apt install -t bookworm-backports golang-go)"
)


@dataclass(frozen=True)
class Go:
    """An installed Go.

    Attributes:
        path: of the ``go`` command.
        version: as ``1.26.8``.
        toolchain: its GOTOOLCHAIN setting; ``local`` forbids it to fetch another version.
    """

    path: Path
    version: str
    toolchain: str

    def toolchain_for(self, recipe: Recipe) -> str:
        """The value of GOTOOLCHAIN for a build: the version wanted, or ``local`` where the machine insists.

        Raises:
            SocleError: this Go is too old and cannot, or may not, fetch the one wanted.
        """
        oldest, wanted = recipe.go_versions()
        if self.toolchain == "local":
            if _number(self.version) < _number(oldest):
                raise _too_old(
                    self, oldest, "allow it to fetch a newer one (go env -u GOTOOLCHAIN) or " + INSTALL
                )
            return "local"
        if _number(self.version) < _number(FIRST_WITH_TOOLCHAINS):
            raise _too_old(self, f"{FIRST_WITH_TOOLCHAINS}, which fetches the version it needs", INSTALL)
        return f"go{wanted}"


def find_go() -> Go:
    """The Go of this machine.

    Raises:
        SocleError: there is none, or it does not run.
    """
    path = _path()
    result = subprocess.run(
        [path, "env", "GOVERSION", "GOTOOLCHAIN"], cwd="/", capture_output=True, text=True, check=False
    )
    version, _, toolchain = result.stdout.partition("\n")
    if result.returncode != 0 or not re.fullmatch(r"go\d\S*", version.strip()):
        raise SocleError(
            "Go does not run",
            where=str(path),
            expected="go env to print its version",
            write=INSTALL,
            exit_code=ExitCode.PREREQUISITE,
        )
    return Go(path, version.strip().removeprefix("go"), toolchain.strip() or "auto")


def build_environment(go: Go, recipe: Recipe) -> dict[str, str]:
    """The user's environment (caches, proxy), with all that would change the result fixed."""
    fixed = {
        "GOTOOLCHAIN": go.toolchain_for(recipe),
        "GOFLAGS": "",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "GOOS": "linux",
        "GOAMD64": "v1",
        "GOEXPERIMENT": "",
        "CGO_ENABLED": "1" if recipe.cgo else "0",
        "LC_ALL": "C",
    }
    if recipe.cgo and shutil.which(os.environ.get("CC", "gcc")) is None:
        raise SocleError(
            f"no C compiler for {recipe.name}",
            expected="gcc on PATH",
            write="apt install gcc libc6-dev",
            exit_code=ExitCode.PREREQUISITE,
        )
    return {**COLLECTOR, **os.environ, **fixed}


def _path() -> Path:
    found = shutil.which("go")
    if found:
        return Path(found)
    for pattern in ELSEWHERE:
        candidates = sorted(Path("/").glob(pattern.lstrip("/")), key=_minor)
        if candidates:
            return candidates[-1]
    raise SocleError(
        "Go is missing",
        expected="go on PATH, to build the binaries of tools/",
        write=INSTALL,
        exit_code=ExitCode.PREREQUISITE,
    )


def _minor(path: Path) -> int:
    """24 for ``/usr/lib/go-1.24/bin/go``."""
    found = re.search(r"go-1\.(\d+)", str(path))
    return int(found[1]) if found else 0


def _too_old(go: Go, expected: str, write: str) -> SocleError:
    return SocleError(
        f"Go {go.version} is too old (GOTOOLCHAIN={go.toolchain})",
        where=str(go.path),
        expected=f"Go ≥ {expected}",
        write=write,
        exit_code=ExitCode.PREREQUISITE,
    )


def _number(version: str) -> tuple[int, ...]:
    """(1, 26, 8) for ``1.26.8``, (1, 26) for ``1.26rc1``."""
    release = re.match(r"[\d.]*", version)
    return tuple(int(part) for part in release[0].split(".") if part) if release else ()
