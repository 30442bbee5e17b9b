"""Collectors: the only part of the compliance suite that reads a site, its repository or a cloud.

All of them load when one of the names below is asked for; a program beside them (``render``) loads its own
part only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socle.audit.collect.collector import Collector, FactKind, Kind
    from socle.audit.collect.running import COLLECTORS, collect

HOMES = {
    "COLLECTORS": "running",
    "Collector": "collector",
    "FactKind": "collector",
    "Kind": "collector",
    "collect": "running",
}
"""The module in which each name is defined."""

__all__ = ["COLLECTORS", "Collector", "FactKind", "Kind", "collect"]


def __getattr__(name: str) -> Any:
    """One of the names above (PEP 562)."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
