"""What is built from ``tools/``: one recipe per binary, and the key under which its result is cached."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from platform import machine

from socle.errors import ExitCode, SocleError
from socle.paths import project_root

# Flags of every build: no path of this machine in the binary, and go.sum alone decides what comes in.
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")


@dataclass(frozen=True)
class Recipe:
    """One table of a ``build.toml``.

    Attributes:
        name: of the binary.
        folder: the Go module that pins it.
        version: what the binary says of itself.
        package: the main package, as ``go build`` names it.
        ldflags: flags of the linker.
        tags: build tags.
        cgo: whether a C compiler takes part; without it the binary is static.
    """

    name: str
    folder: Path
    version: str
    package: str
    ldflags: str = ""
    tags: tuple[str, ...] = ()
    cgo: bool = False

    def flags(self) -> list[str]:
        """Arguments of ``go build``, without the output and the package."""
        tags = [f"-tags={','.join(self.tags)}"] if self.tags else []
        return [*BUILD_FLAGS, f"-ldflags={self.ldflags}", *tags]

    def go_versions(self) -> tuple[str, str]:
        """The oldest Go that can build it and the Go that is wanted, as ``1.25.11`` and ``1.26.8``."""
        text = (self.folder / "go.mod").read_text()
        oldest = re.search(r"^go (\S+)$", text, re.MULTILINE)
        if oldest is None:
            raise SocleError("no go line", where=str(self.folder / "go.mod"), expected="go 1.25.11")
        wanted = re.search(r"^toolchain go(\S+)$", text, re.MULTILINE)
        return oldest[1], (wanted or oldest)[1]

    def key(self) -> str:
        """A hash of all that decides the result: the folder's files, Go's version, flags, processor."""
        digest = hashlib.sha256()
        for part in (self.name, machine(), *self.go_versions(), str(self.cgo), self.package, *self.flags()):
            digest.update(part.encode() + b"\0")
        for file in sorted(_files(self.folder)):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(self.folder)}\0{content}\0".encode())
        return digest.hexdigest()[:24]


def recipes(root: Path | None = None) -> dict[str, Recipe]:
    """All binaries that the kit can build, by name, read from ``tools/*/build.toml``."""
    folder = root or project_root() / "tools"
    return {
        name: _recipe(name, file.parent, table)
        for file in sorted(folder.glob("*/build.toml"))
        for name, table in tomllib.loads(file.read_text()).items()
    }


def recipe(name: str) -> Recipe:
    """The recipe of one binary.

    Raises:
        SocleError: no folder of ``tools/`` builds a binary of that name.
    """
    known = recipes()
    if name not in known:
        raise SocleError(
            f"no recipe for {name}",
            where="tools",
            expected=f"one of {', '.join(sorted(known))}",
            exit_code=ExitCode.USAGE,
        )
    return known[name]


def _recipe(name: str, folder: Path, table: dict[str, object]) -> Recipe:
    tags = table.pop("tags", [])
    return Recipe(name=name, folder=folder, tags=tuple(tags), **table)  # type: ignore[arg-type]


def _files(folder: Path) -> list[Path]:
    """Files of a module, without what editors leave beside them."""
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith((".", "#"))]
