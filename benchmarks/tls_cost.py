"""What TLS costs the APIs: ``python benchmarks/tls_cost.py [--rounds 5] [--seconds 4]``. Reads only.

On the first controller one client calls each API through HAProxy with TLS in front and mutual TLS behind, and
through a second HAProxy of the same two hops without TLS, in turn. Each run keeps its connection.
"""

from __future__ import annotations

import argparse
import json
from statistics import median

from measure import lab_site, on_node, report

from socle import catalogue
from socle.cloud import connect

LIMIT = 0.90
"""Calls per second with TLS ÷ without."""

PATHS = {"keystone": "/v3/projects", "placement": "/resource_providers", "nova": "/v2.1/flavors"}


def main() -> None:
    """Ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    given = parser.parse_args()
    site, services = lab_site(), catalogue.load()
    token = connect(site, services).session.get_token()
    asked = {
        "front": site.endpoints.internal.name,
        "trust": "/etc/ssl/certs/ca-certificates.crt",
        "rounds": given.rounds,
        "seconds": given.seconds,
        "services": [
            {"name": name, "port": services[name].listeners["api"].port, "path": path, "token": token}
            for name, path in PATHS.items()
        ],
    }
    found = json.loads(on_node(site.group("controllers")[0].name, "api_calls.py", json.dumps(asked)))
    rows = [
        {
            "service": entry["name"],
            "calls/s with TLS": median(entry["tls"]),
            "calls/s without": median(entry["plain"]),
            "ratio": median(entry["tls"]) / median(entry["plain"]),
            "of the limit": f"{LIMIT / (median(entry['tls']) / median(entry['plain'])):.0%}",
        }
        for entry in found
    ]
    title = f"TLS on the APIs: medians of {given.rounds} rounds of {given.seconds:g} s, one connection each"
    report("tls_cost", title, rows, [f"limit: {LIMIT:.0%} of the calls without TLS"])


if __name__ == "__main__":
    main()
