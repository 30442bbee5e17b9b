"""What is broken on the lab's nodes: written down before it is broken, and taken back whatever happens."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from socle import durable
from socle.audit.model import LiveMutation
from socle.errors import SocleError

SECONDS: Final = 60
"""How long one command on a node may take before it is killed there."""
KEPT: Final = "/var/lib/socle-mutations"
"""Where a node keeps the files that are broken on it: for root alone, and for as long as they are."""

KEEP: Final = """set -eu
kept=$1; shift
rm -rf "$kept.new"
mkdir -p "${kept%/*}"; chmod 0700 "${kept%/*}"
mkdir -m 0700 "$kept.new"
for file; do
  if [ -e "$file" ] || [ -L "$file" ]; then
    mkdir -p "$kept.new${file%/*}"
    cp -a -- "$file" "$kept.new$file"
  fi
done
find "$kept.new" ! -type l -exec sync {} +
mv -T "$kept.new" "$kept"
sync "${kept%/*}"
"""
"""Copies the files; the folder has its name only once all of them are on the disk."""

IS_KEPT: Final = 'if [ -d "$1" ]; then echo kept; fi'

LAY: Final = """set -eu
kept=$1; shift
for file; do
  if [ -e "$kept$file" ] || [ -L "$kept$file" ]; then
    rm -rf "$file.socle-kept"
    cp -a -- "$kept$file" "$file.socle-kept"
    mv -fT -- "$file.socle-kept" "$file"
  else
    rm -f -- "$file"
  fi
done
"""

SAME: Final = """kept=$1; shift
for file; do
  if [ -L "$kept$file" ]; then
    [ -L "$file" ] && [ "$(readlink "$kept$file")" = "$(readlink "$file")" ] || echo "$file"
  elif [ -e "$kept$file" ]; then
    [ ! -L "$file" ] && cmp -s "$kept$file" "$file" &&
      [ "$(stat -c %a:%u:%g "$kept$file")" = "$(stat -c %a:%u:%g "$file")" ] || echo "$file"
  elif [ -e "$file" ] || [ -L "$file" ]; then
    echo "$file"
  fi
done
"""
"""Names the files that are not as they were kept."""

FORGET: Final = """rm -rf "$1" "$1.new"; rmdir --ignore-fail-on-non-empty "${1%/*}"
"""

type Entered = Callable[[str], list[str]]
"""The words that run a command as root of a node; the command comes behind them."""


@dataclass(frozen=True)
class Broken:
    """The setting of one control, broken on one node."""

    control: str
    node: str
    live: LiveMutation


class Bench:
    """Breaks and repairs settings of nodes; ``journal`` says what is broken, at any moment and after a kill.

    Args:
        lock: file descriptor of the site's lock: who takes it after a kill waits for the commands on nodes.

    Raises:
        SocleError: (every method) the journal cannot be written, or a node cannot be entered.
    """

    def __init__(self, journal: Path, entered: Entered, kept: str = KEPT, lock: int | None = None) -> None:
        self.journal = journal
        self.entered = entered
        self.kept = kept
        self.passed = () if lock is None else (lock,)

    def broken(self) -> list[Broken]:
        """What is broken now, or was when the run that broke it ended."""
        entries: list[dict[str, Any]] = durable.read_json(self.journal).get("broken", [])
        return [
            Broken(one["control"], one["node"], LiveMutation.model_validate(one["live"])) for one in entries
        ]

    def breaks(self, setting: Broken) -> None:
        """Break a setting; first what takes it back is on the disks of this machine and of the node.

        Raises:
            SocleError: the command failed, or changed none of the files that it is said to change. The
                setting counts as broken all the same, until ``repair``.
        """
        self._write([*self.broken(), setting])
        self._run(setting, KEEP)
        self._shell(setting, setting.live.break_)
        self._reload(setting)
        if setting.live.files and not self._run(setting, SAME):
            raise SocleError("the command changed none of its files", where=self._where(setting))

    def repair(self, setting: Broken) -> None:
        """Take a setting back: a node that kept nothing was not broken yet, or is repaired already.

        Raises:
            SocleError: it could not be; it stays in the journal.
        """
        if self._kept(setting):
            self._run(setting, LAY)
            if setting.live.repair:
                self._shell(setting, setting.live.repair)
            self._reload(setting)
            if others := self._run(setting, SAME).split():
                raise SocleError(f"{', '.join(others)} is not as it was", where=self._where(setting))
        self._run(setting, FORGET)
        self._write([one for one in self.broken() if one != setting])

    def repair_all(self) -> list[str]:
        """Take back all that is broken, the last one first; returns what could not be, a line for each."""
        wrong = []
        for setting in reversed(self.broken()):
            try:
                self.repair(setting)
            except SocleError as error:
                wrong.append(error.line())
        return wrong

    def _write(self, settings: list[Broken]) -> None:
        if not settings:
            durable.remove(self.journal)
            return
        self.journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        entries = [
            {"control": one.control, "node": one.node, "live": one.live.model_dump(by_alias=True)}
            for one in settings
        ]
        durable.write_json(self.journal, {"broken": entries})

    def _where(self, setting: Broken) -> str:
        return f"{setting.control} on {setting.node}"

    def _kept(self, setting: Broken) -> bool:
        return bool(self._run(setting, IS_KEPT))

    def _run(self, setting: Broken, script: str) -> str:
        done = self._call(setting, script)
        if done.returncode != 0:
            raise self._failed(setting, done)
        return done.stdout

    def _shell(self, setting: Broken, command: str) -> None:
        """A command of the control's file, as it stands there."""
        done = self._call(setting, f"set -e\n{command}\n")
        if done.returncode != 0:
            raise self._failed(setting, done)

    def _reload(self, setting: Broken) -> None:
        for unit in setting.live.units:
            self._shell(setting, f"systemctl reload-or-restart {unit} && systemctl --quiet is-active {unit}")

    def _call(self, setting: Broken, script: str) -> subprocess.CompletedProcess[str]:
        # ``timeout`` runs on the node: what is killed here would go on there. A session of its own: Ctrl-C
        # is for this process, which then repairs.
        inside = ["timeout", "--kill-after=5", str(SECONDS), "sh", "-c", script, "sh"]
        kept = f"{self.kept}/{setting.control}"
        return subprocess.run(
            [*self.entered(setting.node), *inside, kept, *setting.live.files],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,
            pass_fds=self.passed,
        )

    def _failed(self, setting: Broken, done: subprocess.CompletedProcess[str]) -> SocleError:
        said = " ".join((done.stderr or done.stdout).split()) or f"ended with {done.returncode}"
        return SocleError(said[:200], where=self._where(setting))
