"""OpenBao: seal, authorities, keys, policies, logins, audit devices, as its read-only auditor."""

from __future__ import annotations

from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = ()
