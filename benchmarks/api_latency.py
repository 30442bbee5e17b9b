"""How long the APIs take to answer: ``python benchmarks/api_latency.py [--calls 20]``. Reads only.

Each service is asked for a list by its administrator through the public end point, over one TLS connection.
What TLS adds is measured by ``tls_cost.py``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

from measure import lab_site, report

from socle import catalogue
from socle.cloud import connect

LISTS = {
    "keystone": ("identity", "/projects"),
    "placement": ("placement", "/resource_providers"),
    "glance": ("image", "/v2/images"),
    "nova": ("compute", "/servers/detail?all_tenants=1"),
    "neutron": ("network", "/v2.0/networks"),
    "cinder": ("block-storage", "/volumes/detail"),
    "barbican": ("key-manager", "/v1/secrets"),
}


def main() -> None:
    """Ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    calls = parser.parse_args().calls
    connection = connect(lab_site(), catalogue.load())
    rows = [
        row(component, timed(calls, lambda kind=kind, path=path: ask(connection, kind, path)))
        for component, (kind, path) in LISTS.items()
    ]
    rows.append(
        row("a token", timed(calls, lambda: connection.session.auth.get_auth_ref(connection.session)))
    )
    report("api_latency", f"Answers of the APIs: medians of {calls} calls, one after the other", rows)


def row(name: str, times: list[float]) -> dict[str, Any]:
    """Median and 95th percentile."""
    return {"service": name, "ms": median(times), "p95 ms": quantiles(times, n=20)[-1]}


def ask(connection: Any, kind: str, path: str) -> None:
    """One list; an error ends the benchmark."""
    connection.session.get(path, endpoint_filter={"service_type": kind, "interface": "public"})


def timed(calls: int, question: Callable[[], object]) -> list[float]:
    """Milliseconds of each call, after one that is not counted."""
    question()
    found = []
    for _ in range(calls):
        start = time.perf_counter()
        question()
        found.append(1000 * (time.perf_counter() - start))
    return found


if __name__ == "__main__":
    main()
