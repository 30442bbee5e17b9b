"""Checks across the files of a site: each a small function that yields faults.

A check names the parts of the site that it needs as its parameters (``settings``, ``hosts``, ``tenants`` …).
When one of them could not be read, the check does not run: what is wrong with the file is already reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature

from socle.site.checks import (
    capacity,
    files,
    hosts,
    invariants,
    lab,
    network,
    people,
    prefixes,
    records,
    references,
    register,
    segments,
    storage,
    tenants,
    traffic,
)
from socle.site.document import Fault
from socle.site.parts import Parts

type Check = Callable[..., Iterator[Fault]]

CHECKS: tuple[Check, ...] = (
    *network.CHECKS,
    *hosts.CHECKS,
    *people.CHECKS,
    *lab.CHECKS,
    *references.CHECKS,
    *tenants.CHECKS,
    *traffic.CHECKS,
    *prefixes.CHECKS,
    *capacity.CHECKS,
    *segments.CHECKS,
    *invariants.CHECKS,
    *records.CHECKS,
    *register.CHECKS,
    *storage.CHECKS,
    *files.CHECKS,
)


def run(parts: Parts) -> list[Fault]:
    """Every fault that the checks find in what could be read."""
    found: list[Fault] = []
    for check in CHECKS:
        needed = [getattr(parts, name) for name in signature(check).parameters]
        if all(part is not None for part in needed):
            found += check(*needed)
    return found
