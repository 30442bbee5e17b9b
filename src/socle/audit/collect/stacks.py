"""State of the tenants' stacks, and backups."""

from __future__ import annotations

from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = ()
