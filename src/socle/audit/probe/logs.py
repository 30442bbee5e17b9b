"""Probe of the central logs: a marker that a host writes down arrives at the store, as that host's."""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
import time
from collections.abc import Iterator
from typing import Final

from socle.audit.collect.collector import FactKind, of_hosts
from socle.audit.model import Fact
from socle.audit.probe.model import Ground, Probe
from socle.deploy.nodes import ssh
from socle.logs import asking
from socle.site import Host, Site
from socle.site.entrance import reason

TAG: Final = "socle-probe"
PATIENCE: Final = 60
PAUSE: Final = 2.0
SSH_SECONDS: Final = 30


def _write(site: Site, host: Host, text: str) -> str | None:
    """Why the host did not write it down; none when it did. The text is no secret."""
    words = shlex.join(["logger", "--tag", TAG, text])
    try:
        done = subprocess.run(
            [*ssh(site, host), words], capture_output=True, text=True, check=False, timeout=SSH_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"l’hôte ne répond pas en {SSH_SECONDS} s"
    return None if done.returncode == 0 else reason(done.stderr, f"logger finit par {done.returncode}")


def _heard(site: Site, marker: str) -> dict[str, set[str]]:
    """Under which nodes' names each text of the marker is in a store."""
    found: dict[str, set[str]] = {}
    for line in asking.search(site, marker):
        entry = json.loads(line)
        if entry.get("SYSLOG_IDENTIFIER") == TAG:
            found.setdefault(str(entry["MESSAGE"]), set()).add(str(entry["node"]))
    return found


def _marker(ground: Ground) -> Iterator[Fact]:
    site, marker = ground.site, f"canary-{secrets.token_hex(12)}"
    texts = {name: f"{marker} {name}" for name in site.hosts}
    began = time.monotonic()
    problems = {name: _write(site, host, texts[name]) for name, host in site.hosts.items()}
    waited = {name for name, problem in problems.items() if problem is None}
    arrived: dict[str, float] = {}
    as_: dict[str, set[str]] = {}
    while waited - arrived.keys() and time.monotonic() - began < PATIENCE:
        heard = _heard(site, marker)
        for name in waited - arrived.keys():
            if texts[name] in heard:
                arrived[name] = round(time.monotonic() - began, 1)
                as_[name] = heard[texts[name]]
        if waited - arrived.keys():
            time.sleep(PAUSE)
    for name, problem in problems.items():
        if problem:
            yield Fact(name=MARKER.fact.name, subject=name, problem=problem)
        else:
            told = {
                "arrived": name in arrived,
                "own_name": as_.get(name) == {name},
                "seconds": arrived.get(name, PATIENCE),
            }
            yield MARKER.told(name, told)


MARKER: Final = Probe(
    name="log-marker",
    fact=FactKind("probe.log_marker", of_hosts, "Un repère que chaque hôte écrit, cherché au collecteur"),
    tried=f"une ligne au journal de chaque hôte, cherchée au collecteur pendant {PATIENCE} s",
    effects="une ligne par hôte, étiquetée socle-probe, qui reste dans les journaux centraux",
    run=_marker,
)
PROBES: Final = (MARKER,)
