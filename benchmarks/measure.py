"""What the benchmarks share: the lab, timed commands, a table on the screen, a JSON file of the results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from socle.deploy import journal
from socle.paths import project_root, state_dir
from socle.site import Site, load

RESULTS = project_root() / "benchmarks/results"


def lab_site() -> Site:
    """The site that the lab stands for."""
    return load(project_root() / "inventories/lab")


def socle(*arguments: str) -> float:
    """Run the command as an operator would; how many seconds it took.

    Raises:
        SystemExit: it failed; its output is told.
    """
    command = [str(Path(sys.executable).with_name("socle")), "--site", "lab", *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project_root())
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        words = " ".join(arguments)
        raise SystemExit(f"socle {words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def last_run(site: Site) -> dict[str, Any]:
    """The latest run in the site's journal."""
    return journal.runs(state_dir(site.name))[-1]


def on_node(node: str, program: str, given: str, *, root: bool = False) -> str:
    """Run a program of ``benchmarks/on_node/`` on a node; what it prints.

    Args:
        given: its standard input, which may hold secrets.

    Raises:
        SystemExit: it failed; what it said is told.
    """
    text = (project_root() / "benchmarks/on_node" / program).read_bytes()
    python = "sudo python3" if root else "python3"
    there = f"f=$(mktemp) && head -c {len(text)} > $f && {python} $f; s=$?; rm -f $f; exit $s"
    command = ["ssh", "-F", str(state_dir("lab") / "ssh_config"), node, there]
    done = subprocess.run(command, input=text + given.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{program} on {node} ended with {done.returncode}:\n{done.stderr.decode()}")
    return done.stdout.decode()


def report(name: str, title: str, rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> None:
    """Print the rows as a table, the notes below, and write ``results/<name>.json``."""
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    RESULTS.mkdir(exist_ok=True)
    content = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "rows": list(rows),
        "notes": list(notes),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _cell(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
