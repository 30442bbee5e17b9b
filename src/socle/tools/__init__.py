"""OpenBao, Pulumi and its OpenStack plugin, built from pinned Go modules and cached by content."""

from socle.tools.builder import Verification, binary, build, verify
from socle.tools.override import BinaryOverride, resolve
from socle.tools.progress import OnProgress, Progress

__all__ = [
    "BinaryOverride",
    "OnProgress",
    "Progress",
    "Verification",
    "binary",
    "build",
    "resolve",
    "verify",
]
