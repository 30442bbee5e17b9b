"""Checks across the files of a site."""

from __future__ import annotations

from socle.site.document import Fault
from socle.site.parts import Parts


def run(parts: Parts) -> list[Fault]:
    """Every fault that the checks find in what could be read."""
    return []
