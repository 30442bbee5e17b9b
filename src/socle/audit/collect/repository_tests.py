"""Secure development as it can be run: rules over the kit's code now, and reports of its tests by commit."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from socle.audit.collect.repository_git import NoHistory, Repository

CODE: Final = ("src", "stacks", "plugins")
"""What runs on the deploying machine and on hosts."""
RULES: Final = ("S", "BLE", "B", "F", "E9", "ASYNC", "PGH")
"""Families of ruff: security (bandit), blind excepts, likely bugs, undefined names, syntax."""
ACCOUNTED: Final = ("S603", "S607")
"""Every call of a program: all are lists of words without a shell, which S602 and S605 see to."""
REPORTS: Final = ".reports"
"""Folder of the checkout where ``make test`` leaves its reports, one folder for each commit."""
SECONDS: Final = 60


def rules(root: Path) -> dict[str, Any]:
    """What the rules find in the code; no file of the checkout says which rules, or where they do not hold.

    Raises:
        NoHistory: ruff is not in the kit's environment.
    """
    words = ["check", "--isolated", "--no-cache", "--target-version", "py312"]
    chosen = ["--select", ",".join(RULES), "--ignore", ",".join(ACCOUNTED)]
    version = _ruff(root, "--version").strip()
    files = _ruff(root, *words, "--show-files", *CODE).split()
    said = json.loads(_ruff(root, *words, *chosen, "--exit-zero", "--output-format", "json", *CODE))
    return {
        "tool": version,
        "rules": list(RULES),
        "files": len(files),
        "findings": sorted(
            f"{Path(one['filename']).relative_to(root)}:{one['location']['row']} {one['code']}"
            for one in said
        )[:50],
    }


def _ruff(root: Path, *words: str) -> str:
    command = [sys.executable, "-m", "ruff", *words]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoHistory(f"ruff ne répond pas en {SECONDS} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise NoHistory(f"ruff ne passe pas sur le kit : {said[-1] if said else done.returncode}")
    return done.stdout


def reports(root: Path, kit: Repository) -> dict[str, Any]:
    """The newest report of each suite that ran on the code that is in place.

    A report is of that code when its commit differs from the one that is checked out in sites only. One of a
    work tree that was no commit has a name that git does not know.
    """
    suites: dict[str, dict[str, Any]] = {}
    for folder in sorted((root / REPORTS).glob("*/")):
        if not kit.knows(folder.name) or _differs(kit, folder.name):
            continue
        for file in sorted(folder.glob("*.xml")):
            told = _suite(file)
            if told["ended"] >= suites.get(file.stem, {"ended": ""})["ended"]:
                suites[file.stem] = {"commit": folder.name[:12], **told}
    return {"commit": kit.lines("rev-parse", "HEAD")[0][:12], "suites": suites}


def _differs(kit: Repository, commit: str) -> bool:
    """Whether anything but sites changed since a commit."""
    return bool(
        kit.fields("diff", "--name-only", "-z", commit, "HEAD", "--", ":/", ":(exclude,top)inventories")
    )


def _suite(file: Path) -> dict[str, Any]:
    """What a report of pytest (JUnit's form) counts; ``ran`` are the tests that were not skipped.

    Raises:
        NoHistory: it is no such report.
    """
    try:
        root = ElementTree.parse(file).getroot()  # noqa: S314 - written by `make test` on this machine
        told = [suite.attrib for suite in root.iter("testsuite")]
        ended = max(datetime.fromisoformat(one["timestamp"]) for one in told)
        counts = {
            kind: sum(int(one[kind]) for one in told) for kind in ("tests", "failures", "errors", "skipped")
        }
    except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
        raise NoHistory(f"{file.name} n’est pas un rapport d’essais ({error})") from error
    counts["ran"] = counts["tests"] - counts["skipped"]
    return {**counts, "ended": ended.astimezone(UTC).isoformat(timespec="seconds")}
