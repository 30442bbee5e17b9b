"""A client that calls every API again and again, and measures how long each did not answer."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import requests

PAUSE = 0.3
SECONDS = 60
"""A call that waits is not a call that fails: the proxy holds it while a service reads its settings."""
ENOUGH = 11
"""Calls of each API, however soon the block ends: fewer measure nothing."""
GAP_SECONDS = 5
"""Of one API. Only a service that cannot be reloaded has any."""
URLS = {
    "keystone": ("identity", "/projects"),
    "nova": ("compute", "/servers"),
    "neutron": ("network", "/v2.0/networks"),
    "glance": ("image", "/v2/images"),
    "placement": ("placement", "/resource_providers"),
    "barbican": ("key-manager", "/v1/secrets"),
    "cinder": ("block-storage", "/scheduler-stats/get_pools"),
}
"""Cinder's asks its scheduler by the queue; so does Nova's console, where a server runs."""


@dataclass
class Record:
    """The calls of one API: when each began, how long it took, and what was wrong with it."""

    calls: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """What went wrong."""
        return [wrong for _begin, _seconds, wrong in self.calls if wrong]

    @property
    def slowest(self) -> float:
        """Seconds of the longest call that was answered."""
        return max((seconds for _begin, seconds, wrong in self.calls if not wrong), default=0.0)

    @property
    def gap(self) -> float:
        """Longest time, in seconds, from a call that failed to the begin of the next one that did not."""
        longest, since = 0.0, None
        for begin, seconds, wrong in self.calls:
            if wrong and since is None:
                since = begin
            if since is not None:
                longest = max(longest, (begin + seconds if wrong else begin) - since)
            if not wrong:
                since = None
        return longest


class Prober:
    """Calls each URL in a thread of its own: from the begin of the block to its end, and often enough."""

    def __init__(self, urls: dict[str, tuple[str, dict[str, Any] | None]], token: str, ca_file: str) -> None:
        self.urls, self.ca_file = urls, ca_file
        self.headers = {"X-Auth-Token": token}
        self.records = {name: Record() for name in urls}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._probe, args=(name,)) for name in urls]

    def __enter__(self) -> Prober:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _probe(self, name: str) -> None:
        url, body = self.urls[name]
        while not self._over.is_set() or len(self.records[name].calls) < ENOUGH:
            begin = time.monotonic()
            wrong = self._call(url, body)
            self.records[name].calls.append((begin, time.monotonic() - begin, wrong))
            time.sleep(PAUSE)

    def _call(self, url: str, body: dict[str, Any] | None) -> str:
        """What is wrong with the answer; empty when nothing is. A connection of its own for each call."""
        method = "POST" if body else "GET"
        try:
            answer = requests.request(
                method, url, json=body, headers=self.headers, timeout=SECONDS, verify=self.ca_file
            )
        except requests.exceptions.RequestException as error:
            return type(error).__name__
        return "" if answer.ok else f"{answer.status_code} {answer.text[:100]}"

    def table(self) -> str:
        """What was measured, one line for each API."""
        return "\n".join(
            f"{name}: {len(r.calls)} calls, {len(r.failures)} failed {sorted(set(r.failures))}, "
            f"gap {r.gap:.1f} s, slowest {r.slowest:.1f} s"
            for name, r in self.records.items()
        )

    def judge(self) -> None:
        """No API was away for longer than it may be."""
        print(self.table())  # noqa: T201 - the measurement
        assert all(len(record.calls) >= ENOUGH for record in self.records.values()), self.table()
        assert all(record.gap <= GAP_SECONDS for record in self.records.values()), self.table()


def urls(cloud: Any) -> dict[str, tuple[str, dict[str, Any] | None]]:
    """What to call, by name, and with which body: of every API, as its administrator."""
    found: dict[str, tuple[str, dict[str, Any] | None]] = {
        name: (endpoint(cloud, kind) + path, None) for name, (kind, path) in URLS.items()
    }
    server = next((s for s in cloud.compute.servers(all_projects=True) if s.status == "ACTIVE"), None)
    if server:
        action = f"{endpoint(cloud, 'compute')}/servers/{server.id}/action"
        found["nova by the queue"] = (action, {"os-getConsoleOutput": {"length": 1}})
    return found


def endpoint(cloud: Any, kind: str) -> str:
    """Where an API is, without the version that its paths begin with."""
    url = str(cloud.session.get_endpoint(service_type=kind, interface="public")).rstrip("/")
    if kind == "identity":
        return url if url.endswith("/v3") else f"{url}/v3"
    return re.sub(r"/v(1|2|2\.0)$", "", url) if kind in {"network", "image", "key-manager"} else url
