"""Hardening of hosts by ANSSI-BP-028 v2: rules as data, what they set on a host, and how it is checked."""

from socle.hardening.checks import Check, checks
from socle.hardening.host import Applied, Deviation, HostTraits, NotEvaluated, applied
from socle.hardening.laid import files, report
from socle.hardening.rules import Rule, load

__all__ = [
    "Applied",
    "Check",
    "Deviation",
    "HostTraits",
    "NotEvaluated",
    "Rule",
    "applied",
    "checks",
    "files",
    "load",
    "report",
]
