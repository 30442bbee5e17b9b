"""A deployment of an unchanged lab: ``python benchmarks/second_run.py [--runs 3]``. Changes nothing.

For each phase the median of its seconds and the number of module executions, which is what predicts the time.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

from measure import lab_site, last_run, report, socle

LIMIT_S, AIM_S = 45.0, 20.0


def main() -> None:
    """Deploy several times and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    site, runs, seconds = lab_site(), [], []
    for _ in range(parser.parse_args().runs):
        seconds.append(socle("deploy"))
        runs.append(last_run(site))
    rows = [phase(runs, name) for name in names(runs[-1])]
    total = median(seconds)
    executions = sum(row["module executions"] for row in rows)
    rows.append({"phase": "whole command", "seconds": total, "module executions": executions})
    changed = [sum(p["changed"] for p in run["phases"]) for run in runs]
    report(
        "second_run",
        f"A second deployment, {len(site.hosts)} nodes: medians of {len(runs)} runs",
        [{**row, "of the limit": f"{row['seconds'] / LIMIT_S:.0%}"} for row in rows],
        [
            f"limit {LIMIT_S:.0f} s: {total / LIMIT_S:.2f} of it",
            f"aim {AIM_S:.0f} s: {total / AIM_S:.2f} of it",
            f"changed in each run: {', '.join(map(str, changed))}",
            f"per module execution: {1000 * total / max(executions, 1):.0f} ms",
        ],
    )


def names(run: dict[str, Any]) -> list[str]:
    """Phases of a run, in their order."""
    return [p["name"] for p in run["phases"]]


def phase(runs: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """One row; phases beside each other share the processors, so the sum is above the whole."""
    found = [p for run in runs for p in run["phases"] if p["name"] == name]
    executions = max(p["executions"] for p in found)
    return {
        "phase": name,
        "seconds": float(median(p["seconds"] for p in found)),
        "module executions": executions,
    }


if __name__ == "__main__":
    main()
