"""What probes are about to make, on disk before it is made; what is written there is to be removed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.paths import state_dir

FOLDER = "probes"
type Kind = Literal["tenant", "person", "wire"]


class Made(NamedTuple):
    """One thing that a probe makes, by the name that it will have."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Journal:
    """The journal of a site's probes; one run at a time holds it."""

    path: Path

    def left(self) -> tuple[Made, ...]:
        """What is to be removed, the last first."""
        made = durable.read_json(self.path).get("made", [])
        return tuple(Made(kind, name) for kind, name in reversed(made))

    def announce(self, made: Made) -> None:
        """Before anything is made: it is on disk when this returns."""
        self._write([*reversed(self.left()), made])

    def forget(self, made: Made) -> None:
        """After it was removed."""
        self._write([one for one in reversed(self.left()) if one != made])

    def _write(self, made: list[Made]) -> None:
        if made:
            durable.write_json(self.path, {"made": [list(one) for one in made]})
        else:
            durable.remove(self.path)


@contextmanager
def held(site: str) -> Iterator[Journal]:
    """The journal of a site, for this process alone; a kill lets it go.

    Raises:
        SocleError: other probes run (exit code 5).
    """
    folder = state_dir(site) / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SocleError(
                "other probes run", where=site, write="wait until they end", exit_code=ExitCode.LOCKED
            ) from error
        yield Journal(folder / "journal.json")
    finally:
        os.close(handle)
