"""Collectors: the only part of the compliance suite that reads a site, its repository or a cloud."""

from socle.audit.collect.collector import Collector, FactKind, Kind
from socle.audit.collect.running import COLLECTORS, collect

__all__ = ["COLLECTORS", "Collector", "FactKind", "Kind", "collect"]
