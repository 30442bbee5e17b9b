"""From nodes that are down to a page of a guest: ``python benchmarks/lab_start.py --yes [--runs 1]``. Root.

DELETES THE LAB: its nodes, what was stored in it and the keys of its OpenBao. Binaries, layers and images
stay in the cache. Without --yes it only says so.
"""

from __future__ import annotations

import argparse
import time
import urllib.error
import urllib.request
from statistics import median
from typing import Any

from measure import lab_site, last_run, report, socle

from socle import catalogue
from socle.cloud import connect
from socle.site import Site

LIMIT_S, AIM_S = 300.0, 180.0
PATIENCE_S = 120


def main() -> None:
    """Reset, start, deploy, fetch; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--yes", action="store_true", help="delete the lab")
    parser.add_argument("--runs", type=int, default=1)
    given = parser.parse_args()
    if not given.yes:
        print("lab_start.py deletes the lab and makes it again; run it with --yes")
        return
    site = lab_site()
    runs = [once(site) for _ in range(given.runs)]
    rows = [{"step": step, "seconds": median(run[step] for run in runs)} for step in runs[0]]
    total = rows[-1]["seconds"]
    report(
        "lab_start",
        f"Nodes down to page fetched, caches warm: medians of {given.runs} runs",
        [{**row, "of the whole": f"{row['seconds'] / total:.0%}"} for row in rows],
        [f"limit {LIMIT_S:.0f} s: {total / LIMIT_S:.2f} of it; aim {AIM_S:.0f} s: {total / AIM_S:.2f} of it"],
    )


def once(site: Site) -> dict[str, float]:
    """Seconds of each step and of the whole."""
    socle("lab", "reset", "--yes")
    start = time.perf_counter()
    found = {"nodes up": socle("lab", "up")}
    deployed = socle("deploy")
    phases = {f"deploy: {p['name']}": p["seconds"] for p in last_run(site)["phases"]}
    found |= {**phases, "deploy, whole command": deployed, "page of a guest": wait_for_page(site)}
    return {**found, "whole": time.perf_counter() - start}


def wait_for_page(site: Site) -> float:
    """Seconds until a guest answers at its floating IP."""
    start = time.perf_counter()
    addresses = [
        ip.floating_ip_address for ip in connect(site, catalogue.load()).network.ips() if ip.fixed_ip_address
    ]
    if not addresses:
        raise SystemExit("no guest has a floating IP")
    while time.perf_counter() - start < PATIENCE_S:
        if any(answers(address) for address in addresses):
            return time.perf_counter() - start
        time.sleep(0.5)
    raise SystemExit(f"no page within {PATIENCE_S} s at {', '.join(addresses)}")


def answers(address: Any) -> bool:
    """Whether a page comes from there."""
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=3) as page:
            return bool(page.read())
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


if __name__ == "__main__":
    main()
