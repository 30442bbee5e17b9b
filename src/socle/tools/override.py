"""A binary that a site brings itself, accepted only with the SHA-256 that the site wrote down."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from socle.errors import ExitCode, SocleError
from socle.tools.builder import binary, sha256
from socle.tools.progress import OnProgress, to_stderr


@dataclass(frozen=True)
class BinaryOverride:
    """A site's own binary: its path, and the SHA-256 of its content in hexadecimal."""

    path: Path
    sha256: str


def resolve(name: str, override: BinaryOverride | None, on_progress: OnProgress = to_stderr) -> Path:
    """The binary to use: the site's own if it names one, else the one that the kit builds.

    Raises:
        SocleError: the site's file is absent, cannot be run, or is not the one that the SHA-256 tells.
    """
    if override is None:
        return binary(name, on_progress)
    if not override.path.is_file():
        raise SocleError(
            f"the binary of {name} is absent",
            where=str(override.path),
            expected="the file that the site names",
            write="put it there, or leave it out of the site's files to use the one that the kit builds",
            exit_code=ExitCode.PREREQUISITE,
        )
    found = sha256(override.path)
    if found != override.sha256.lower():
        raise SocleError(
            f"the binary of {name} has SHA-256 {found}",
            where=str(override.path),
            expected=override.sha256.lower(),
            write=f"restore the file or, if it was changed on purpose, write sha256: {found}",
            exit_code=ExitCode.INVALID_SITE,
        )
    if not os.access(override.path, os.X_OK):
        raise SocleError(
            f"the binary of {name} cannot be run",
            where=str(override.path),
            expected="execute permission",
            write=f"chmod 755 {override.path}",
            exit_code=ExitCode.PREREQUISITE,
        )
    return override.path
