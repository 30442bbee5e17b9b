"""Memory of the whole lab with its guests, now: ``python benchmarks/memory.py``. Reads only.

Proportional set size (PSS) of every process of every node, from ``/proc/<pid>/smaps_rollup``: pages that
processes share are divided among them, so the sum is what the lab really holds, without the page cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measure import lab_site, report

from socle.lab import Lab
from socle.lab.container import Container

LIMIT_GIB = 8.0
MIB = 1024
GUEST = "qemu-system"


def main() -> None:
    """Measure once and print the table."""
    lab = Lab.of(lab_site())
    rows = [row(name, lab.container(name)) for name in (node.name for node in lab.plan.nodes)]
    whole: dict[str, Any] = {"node": "lab"}
    for column in ("processes", "services MiB", "guests", "guests MiB", "MiB"):
        whole[column] = sum(r[column] for r in rows)
    total = whole["MiB"] / MIB
    report(
        "memory",
        "Memory of the lab (PSS)",
        [{**r, "of the limit": f"{r['MiB'] / MIB / LIMIT_GIB:.0%}"} for r in (*rows, whole)],
        [f"limit with three guests {LIMIT_GIB:.0f} GiB; now {total:.2f} GiB with {whole['guests']} guests"],
    )


def row(name: str, container: Container) -> dict[str, Any]:
    """A node's services and its guests apart."""
    services, guests = [], []
    for pid in container.processes():
        found = pss_kib(pid)
        if found is not None:
            command, kib = found
            (guests if command.startswith(GUEST) else services).append(kib)
    return {
        "node": name,
        "processes": len(services) + len(guests),
        "services MiB": sum(services) / MIB,
        "guests": len(guests),
        "guests MiB": sum(guests) / MIB,
        "MiB": (sum(services) + sum(guests)) / MIB,
    }


def pss_kib(pid: int) -> tuple[str, int] | None:
    """A process's name and its PSS in KiB; None when it has ended."""
    try:
        command = Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return command, sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
