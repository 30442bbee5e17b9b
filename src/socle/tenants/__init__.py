"""Tenants and platform: runs ``stacks/`` with Pulumi, each stack with an encrypted state of its own."""

from socle.tenants.apply import apply, platform_apply, platform_preview, preview, unserved
from socle.tenants.session import Session, session_of
from socle.tenants.stack import StackResult

__all__ = [
    "Session",
    "StackResult",
    "apply",
    "platform_apply",
    "platform_preview",
    "preview",
    "session_of",
    "unserved",
]
