"""The history of the site's files: who changed what, who approved it, and whether commits are signed."""

from __future__ import annotations

from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = ()
