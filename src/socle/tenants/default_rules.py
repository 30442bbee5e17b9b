"""What Neutron puts into the ``default`` security group of new projects: what a guest needs to start.

Nothing else: without this, a server that names no group may send anything anywhere. Neutron keeps these rules
as templates (extension ``security-groups-default-rules``), which Pulumi's provider does not know.
"""

from __future__ import annotations

from typing import Any

from stacks.tenant.plan import GUEST_RULES, Rule

FIELDS = ("direction", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")


def differences(cloud: Any) -> dict[str, int]:
    """How many templates are missing (``create``) and too many (``delete``)."""
    missing, surplus = _compare(cloud)
    return _counts(missing, surplus)


def settle(cloud: Any) -> dict[str, int]:
    """Make the templates what they should be; what was done, as ``differences`` says it."""
    missing, surplus = _compare(cloud)
    for template in surplus:
        cloud.network.delete_default_security_group_rule(template)
    for rule in missing:
        cloud.network.create_default_security_group_rule(**_template(rule))
    return _counts(missing, surplus)


def _compare(cloud: Any) -> tuple[list[Rule], list[Any]]:
    found = list(cloud.network.default_security_group_rules())
    wanted = {tuple(_template(rule)[name] for name in FIELDS): rule for rule in GUEST_RULES}
    kept = {_key(it): it for it in found if _key(it) in wanted and not it.used_in_non_default_sg}
    surplus = [it for it in found if kept.get(_key(it)) is not it]
    return [rule for key, rule in wanted.items() if key not in kept], surplus


def _key(template: Any) -> tuple[Any, ...]:
    return tuple(getattr(template, name) for name in FIELDS)


def _template(rule: Rule) -> dict[str, Any]:
    return {
        "direction": rule.direction,
        "ether_type": "IPv4",
        "protocol": rule.protocol,
        "port_range_min": rule.first_port,
        "port_range_max": rule.last_port,
        "remote_ip_prefix": rule.prefix,
        "used_in_default_sg": True,
        "used_in_non_default_sg": False,
    }


def _counts(missing: list[Rule], surplus: list[Any]) -> dict[str, int]:
    return {name: count for name, count in (("create", len(missing)), ("delete", len(surplus))) if count}
