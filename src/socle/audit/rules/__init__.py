"""The rules: pure functions of facts, the same before and after a deployment.

A rule gets the value of one subject, the control's ``expect`` and the other facts that the control needs; it
yields what is not as it must be. It reads nothing else: no clock, no file, no network.
"""

from socle.audit.rules import (
    accounts,
    cloud,
    dates,
    generic,
    hosts,
    network,
    openbao,
    services,
    site,
)
from socle.audit.rules.registry import RULES, Deviation, Others, Rule, rule

__all__ = [
    "RULES",
    "Deviation",
    "Others",
    "Rule",
    "accounts",
    "cloud",
    "dates",
    "generic",
    "hosts",
    "network",
    "openbao",
    "rule",
    "services",
    "site",
]
