"""How long the APIs take to answer: ``python benchmarks/api_latency.py [--calls 20]``. Reads only.

Each service is asked for a list by its administrator through the public end point, over one TLS connection,
and for its health page behind the proxy and in front of it; the ratio is what HAProxy and TLS add.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import requests
from measure import lab_site, report

from socle import catalogue, vault
from socle.catalogue import Listener
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
    site, services = lab_site(), catalogue.load()
    trust = str(vault.place_of(site, services).ca_file)
    controller = site.group("controllers")[0].address
    connection = connect(site, services)
    rows = []
    for component, (kind, path) in LISTS.items():
        entry = services[component].listeners["api"]
        listed = timed(calls, lambda kind=kind, path=path: ask(connection, kind, path))
        behind = timed(calls, health(f"http://{controller}:{entry.port}", entry))
        front = f"https://{site.endpoints.public.name}:{entry.front_port}"
        before = timed(calls, health(front, entry, trust))
        rows.append(row(component, listed, behind, before))
    tokens = timed(calls, lambda: connection.session.auth.get_auth_ref(connection.session))
    rows.append({**row("a token", tokens, tokens, tokens), "behind ms": "", "in front ms": "", "ratio": ""})
    report("api_latency", f"Answers of the APIs: medians of {calls} calls, one after the other", rows)


def row(name: str, listed: list[float], behind: list[float], front: list[float]) -> dict[str, Any]:
    """Medians, the 95th percentile of the list, and in front ÷ behind."""
    return {
        "service": name,
        "list ms": median(listed),
        "p95 ms": quantiles(listed, n=20)[-1],
        "behind ms": median(behind),
        "in front ms": median(front),
        "ratio": median(front) / median(behind),
    }


def ask(connection: Any, kind: str, path: str) -> None:
    """One list; an error ends the benchmark."""
    connection.session.get(path, endpoint_filter={"service_type": kind, "interface": "public"})


def health(base: str, entry: Listener, trust: str | None = None) -> Callable[[], None]:
    """A request of the page that the proxy asks for as well, over a connection that is kept if it can be."""
    session = requests.Session()

    def once() -> None:
        answer = session.get(f"{base}{entry.health}", verify=trust or False, timeout=30)
        if answer.status_code >= requests.codes.bad_request:
            raise SystemExit(f"{base}{entry.health} answers {answer.status_code}")

    return once


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
