"""Configuration as the roles would lay it, rendered here: the static half of what ``services`` reads."""

from __future__ import annotations

from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = ()
