"""How long a site takes to validate, and how that grows: ``python benchmarks/validate.py [--runs 5]``.

Writes sites of 100, 500 and 1,500 tenants (with a third as many hosts) to a temporary folder, loads each
several times and prints medians. Each load reads and checks every file; nothing is cached between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from socle.paths import project_root
from socle.site import load, register
from socle.site.fields import luhn

SIZES = (100, 500, 1500)
LIMIT_S = 3.0
MODEL = project_root() / "inventories" / "modele-gip"


def siren(number: int) -> str:
    """A SIREN with a right check digit."""
    base = f"{21_000_000 + number:08d}"
    return base + next(digit for digit in "0123456789" if luhn(base + digit))


def write_tenants(folder: Path, count: int) -> None:
    """Files like those of the model site: two environments, two segments, five rules."""
    (folder / "tenants").mkdir()
    template = next((MODEL / "tenants").glob("21000103*.yml")).read_text("utf-8")
    old = next((MODEL / "tenants").glob("21000103*.yml")).stem
    for number in range(count):
        key = siren(number)
        (folder / "tenants" / f"{key}.yml").write_text(template.replace(old, key), "utf-8")


def write_hosts(folder: Path, count: int) -> None:
    """Three controllers and vault nodes, the rest half hypervisors and half storage."""
    names = [f"node{number}" for number in range(count)]
    roles = {"controllers": names[:3], "vault": names[3:6], "gateways": names[6:8], "storage": names[8::2]}
    roles["computes"] = [name for name in names[8:] if name not in set(roles["storage"])]
    lines = ["all:", "  hosts:"]
    for number, name in enumerate(names):
        at = {"admin": 10, "api": 11, "storage": 12, "overlay": 13}
        inside = ", ".join(f"{zone}: 10.{net}.{number // 250}.{number % 250 + 2}" for zone, net in at.items())
        lines += [f"    {name}:", f"      addresses: {{{inside}}}", "      room: salle-a", "      rack: a1"]
        lines += ["      interfaces: {provider: bond1}", "      capacity: {vcpu: 256, ram_gib: 2048}"]
    lines.append("  children:")
    for role, members in roles.items():
        lines += [f"    {role}:", "      hosts:", *(f"        {name}:" for name in members)]
    (folder / "hosts.yml").write_text("\n".join(lines) + "\n", "utf-8")


def write_site(folder: Path, tenants: int, hosts: int) -> None:
    """A valid site of this size, from the files of the model site."""
    folder.mkdir()
    for name in ("people.yml", "classes.yml", "segments.yml", "suppliers.yml"):
        (folder / name).write_bytes((MODEL / name).read_bytes())
    (folder / "equipment.yml").write_text("equipment: {}\n", "utf-8")
    text = (MODEL / "site.yml").read_text("utf-8")
    changes = {
        "10.40.0.0/23, gateway: 10.40.0.1": "10.10.0.0/16",
        "198.51.100.0/26, gateway: 198.51.100.1": "10.11.0.0/16",
        "10.40.8.0/23": "10.12.0.0/16",
        "10.40.16.0/23": "10.13.0.0/16",
        "203.0.113.0/24": "10.14.0.0/16",
        "203.0.113.1\n": "10.14.0.1\n",
        "first: 203.0.113.20, last: 203.0.113.250": "first: 10.14.1.0, last: 10.14.250.0",
        "address: 10.40.0.10": "address: 10.10.200.1",
        "address: 198.51.100.10": "address: 10.11.200.1",
        "10.64.0.0/16": "10.64.0.0/10",
        "overcommit: 1.0": "overcommit: 64.0",
    }
    for old, new in changes.items():
        if old not in text:
            raise SystemExit(f"the model site does not hold {old!r} any more")
        text = text.replace(old, new)
    (folder / "site.yml").write_text(text, "utf-8")
    write_hosts(folder, hosts)
    write_tenants(folder, tenants)
    register(load(folder))


def measure(folder: Path, runs: int) -> tuple[list[float], list[float]]:
    """Seconds by the clock and of processor time of each load; apart when the machine does other work."""
    clock, processor = [], []
    for _ in range(runs):
        start, busy = time.perf_counter(), time.process_time()
        load(folder)
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    return clock, processor


def main() -> None:
    """Measure, print the table and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    rows = []
    with tempfile.TemporaryDirectory() as parent:
        for tenants in SIZES:
            folder = Path(parent) / f"site-{tenants}"
            write_site(folder, tenants, max(20, tenants // 3))
            clock, processor = measure(folder, runs)
            row = {"tenants": tenants, "hosts": max(20, tenants // 3), "seconds": clock, "cpu": processor}
            rows.append(row)
    report(rows)


def report(rows: list[dict[str, object]]) -> None:
    """The table on the screen and the JSON beside the other results."""
    medians = [statistics.median(row["seconds"]) for row in rows]  # type: ignore[call-overload]
    print(f"{'tenants':>8} {'hosts':>6} {'median s':>9} {'cpu s':>6} {'ms/tenant':>10}")
    for row, median in zip(rows, medians, strict=True):
        per_tenant = 1000 * median / int(str(row["tenants"]))
        cpu = statistics.median(row["cpu"])  # type: ignore[call-overload]
        print(f"{row['tenants']:>8} {row['hosts']:>6} {median:>9.2f} {cpu:>6.2f} {per_tenant:>10.2f}")
    for (small, large), (before, after) in zip(pairwise(SIZES), pairwise(medians), strict=True):
        print(f"{large / small:.1f} x the tenants take {after / before:.1f} x the time")
    print(f"limit for {SIZES[-1]} tenants: {LIMIT_S} s; used: {medians[-1] / LIMIT_S:.0%}")
    results = project_root() / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    content = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "rows": [{**row, "median": median} for row, median in zip(rows, medians, strict=True)],
    }
    (results / "validate.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
