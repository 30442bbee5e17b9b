"""OpenStack's APIs, read by the site's own read-only account."""

from __future__ import annotations

from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = ()
