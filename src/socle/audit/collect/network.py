"""What listeners answer: TLS and SSH handshakes, and a port scan from each zone."""

from __future__ import annotations

from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = ()
