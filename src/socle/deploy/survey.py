"""What one look at a node told at the beginning of a run: it holds until something on the node is changed.

A bundle that executes on a node says in passing how all bundles of that node stand
(``plugins/module_utils/node_survey.py``). The roles that follow compare what they want with that, on this
machine, and execute only where it differs. One JSON file for each node stands in the folder of the run, which
``SOCLE_SURVEY`` names; without it every task asks its node. Contents are there as hashes only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "SOCLE_SURVEY"
SECONDS = 120
"""How long a survey is believed: what somebody else does on a node in that time is seen by the next run."""

DEFAULT_MODES = {"file": 0o644, "directory": 0o755}


def folder_in(run: Path) -> Path:
    """Where the surveys of a run are kept, in the folder of the run."""
    return run / "surveys"


@contextmanager
def removed_after(run: Path) -> Iterator[None]:
    """Surveys do not outlive the run; what a kill leaves behind goes with the run's folder."""
    try:
        yield
    finally:
        shutil.rmtree(folder_in(run), ignore_errors=True)


def wanted() -> bool:
    """Whether this run keeps surveys."""
    return VARIABLE in os.environ


def known(node: str) -> dict[str, Any] | None:
    """What the node's last survey told, unless it is old or something changed since."""
    path = _path(node)
    if path is None:
        return None
    try:
        if time.time() - path.stat().st_mtime > SECONDS:
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def keep(node: str, survey: Mapping[str, Any]) -> None:
    """Remember a survey for the tasks that follow."""
    path = _path(node)
    if path is None:
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(survey), encoding="utf-8")
    draft.replace(path)


def forget(node: str) -> None:
    """Something changed on the node, or may have: it is asked again."""
    path = _path(node)
    if path is not None:
        path.unlink(missing_ok=True)


def has_bundle(
    survey: Mapping[str, Any],
    name: str,
    files: Iterable[Mapping[str, Any]],
    started: Sequence[str],
    stopped: Sequence[str],
) -> bool:
    """Whether the node has exactly these files, its units are as they should be, and no handler is owed.

    Args:
        files: as the module takes them, rendered.
    """
    found = survey["bundles"].get(name)
    return bool(
        found
        and found["runs"]
        and not found["owed"]
        and found["started"] == list(started)
        and found["stopped"] == list(stopped)
        and all(_stands(file, found["paths"].get(file["path"])) for file in files)
    )


def has_packages(survey: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether these packages are installed, and no installation was interrupted."""
    found = survey["packages"]
    return bool(found["settled"]) and set(names) <= set(found["installed"])


def _stands(file: Mapping[str, Any], found: Mapping[str, Any] | None) -> bool:
    state = file.get("state", "file")
    if found is None or found["kind"] != state:
        return False
    if state == "absent":
        return True
    if state == "link":
        return bool(found["target"] == file["target"])
    mode = int(file["mode"], 8) if file.get("mode") else DEFAULT_MODES[state]
    owner = (file.get("owner", "root"), file.get("group", "root"), mode)
    if owner != (found["owner"], found["group"], found["mode"]):
        return False
    if state == "directory" or not file.get("force", True):
        return True
    text: str = file["secret_content"] if "secret_content" in file else file["content"]
    return bool(found["content"] == hashlib.sha256(text.encode()).hexdigest())


def _path(node: str) -> Path | None:
    folder = os.environ.get(VARIABLE)
    return Path(folder) / f"{node}.json" if folder else None
