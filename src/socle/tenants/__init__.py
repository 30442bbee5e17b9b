"""Tenants and platform: runs ``stacks/`` with Pulumi, each stack with an encrypted state of its own.

What is named here is loaded when it is first asked for: Pulumi and openstacksdk take seconds to load, and
who only reads the files of a stack needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socle.tenants.applying import apply, platform_apply, platform_preview, preview
    from socle.tenants.session import Session, session_of
    from socle.tenants.stack import StackResult

HOMES = {
    "Session": "session",
    "StackResult": "stack",
    "apply": "applying",
    "platform_apply": "applying",
    "platform_preview": "applying",
    "preview": "applying",
    "session_of": "session",
}
"""The module in which each name is defined."""

__all__ = [
    "Session",
    "StackResult",
    "apply",
    "platform_apply",
    "platform_preview",
    "preview",
    "session_of",
]


def __getattr__(name: str) -> Any:
    """One of the names above (PEP 562)."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
