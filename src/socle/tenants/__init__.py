"""Tenants and platform: runs the stacks of ``stacks/`` with Pulumi, each with its own encrypted state."""

from socle.tenants.apply import apply, platform_apply, platform_preview, preview
from socle.tenants.session import Session, session_of
from socle.tenants.stack import StackResult

__all__ = ["Session", "StackResult", "apply", "platform_apply", "platform_preview", "preview", "session_of"]
