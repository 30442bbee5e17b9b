"""Pulumi's files of one stack, as a killed run may have left them: state, lock, and settings with its key."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.paths import state_dir
from socle.site import Site

PROJECT = "socle"
RESTORE = (
    "restore the folder `stacks` of the site's state if this machine has lost it, or choose another name"
)
"""What to do when the cloud has what no state of this machine knows."""
LOCK_SECONDS = 300
"""How long a Pulumi that outlived the run that started it may take to finish what it had begun."""


def folder_of(site: Site) -> Path:
    """Where the states of a site's stacks are kept."""
    return state_dir(site.name) / "stacks"


@dataclass(frozen=True)
class StackFiles:
    """Where the files of a stack are, below the site's folder of stacks."""

    name: str
    folder: Path

    @property
    def work(self) -> Path:
        """Pulumi's project and settings."""
        return self.folder / self.name

    @property
    def home(self) -> Path:
        """Pulumi's own home."""
        return self.folder / "home"

    @property
    def backend(self) -> Path:
        """States of all stacks."""
        return self.folder / "backend"

    @property
    def state(self) -> Path:
        """The state of this one; values of secrets are in it as ciphertext only."""
        return self.backend / f".pulumi/stacks/{PROJECT}/{self.name}.json"

    @property
    def settings(self) -> Path:
        """The name of the key that encrypts the state, and the data key under it."""
        return self.work / f"Pulumi.{self.name}.yaml"

    @property
    def doubts(self) -> Path:
        """Creations that ended with an error, and may have happened all the same."""
        return self.work / "doubts.json"

    def prepare(self) -> None:
        """Make the folders, for nobody else to read, and undo what a kill left half-written."""
        for path in (self.work, self.home, self.backend):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._break_stale_lock()
        self._restore_settings()

    def latest(self) -> Mapping[str, Any]:
        """The recorded deployment, empty when there is none.

        Raises:
            SocleError: the state cannot be read.
        """
        if not self.state.is_file():
            return {}
        try:
            checkpoint = json.loads(self.state.read_text(encoding="utf-8"))["checkpoint"]
        except (ValueError, KeyError) as error:
            write = f"restore it from {self.state}.bak"
            raise SocleError("is damaged", where=str(self.state), write=write) from error
        return checkpoint.get("latest") or {}

    def unsettled(self) -> list[Mapping[str, Any]]:
        """What the last run began and could not record, or was told had failed: pending operations.

        Raises:
            SocleError: the state cannot be read.
        """
        doubts = durable.read_json(self.doubts).get("pending_operations") or []
        return [*(self.latest().get("pending_operations") or []), *doubts]

    def doubt(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Remember creations that failed until they are settled."""
        if operations:
            durable.write_json(self.doubts, {"pending_operations": list(operations)})

    def _break_stale_lock(self) -> None:
        """Remove the lock of a Pulumi that was killed; wait for one that still lives."""
        for path in (self.backend / ".pulumi/locks").glob(f"**/{self.name}/*.json"):
            end = time.monotonic() + LOCK_SECONDS
            while path.exists() and (holder := _holder(path)):
                if time.monotonic() > end:
                    raise SocleError(
                        f"is locked by {holder}",
                        where=f"stack {self.name}",
                        write=f"wait for its end, or delete {path}",
                        exit_code=ExitCode.LOCKED,
                    )
                time.sleep(0.2)
            path.unlink(missing_ok=True)

    def _restore_settings(self) -> None:
        """Write the settings again from the state, or forget a stack that was never more than begun."""
        if not self.state.is_file() or _has_key(self.settings):
            return
        key = (self.latest().get("secrets_providers") or {}).get("state") or {}
        if not key.get("encryptedkey"):
            self.state.unlink()
            return
        durable.write(self.settings, f"secretsprovider: {key['url']}\nencryptedkey: {key['encryptedkey']}\n")


def is_pulumi(pid: int) -> bool:
    """Whether a process of this number runs and is Pulumi's."""
    try:
        return b"pulumi" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _holder(lock: Path) -> str | None:
    """Who holds a lock: a Pulumi that runs, or one of another machine; None when it was killed."""
    try:
        written = json.loads(lock.read_text(encoding="utf-8"))
        pid, host = int(written["pid"]), str(written["hostname"])
    except (OSError, ValueError, KeyError):
        return None
    if host == os.uname().nodename and not is_pulumi(pid):
        return None
    return f"process {pid} of {host}"


def _has_key(settings: Path) -> bool:
    return settings.is_file() and "encryptedkey: " in settings.read_text(encoding="utf-8")
