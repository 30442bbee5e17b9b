"""What listeners answer: TLS and SSH handshakes, and a port scan from each zone."""

from __future__ import annotations

from socle.audit.collect import (
    network_flows,
    network_listeners,
    network_probes,
    network_scan,
    network_web,
)
from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = (
    *network_flows.COLLECTORS,
    *network_listeners.COLLECTORS,
    *network_scan.COLLECTORS,
    *network_web.COLLECTORS,
    *network_probes.COLLECTORS,
)
