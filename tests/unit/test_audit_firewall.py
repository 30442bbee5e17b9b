"""A host's firewall in plain words: whatever may let a packet through is told."""

from __future__ import annotations

from typing import Any

import pytest

from socle.audit.collect.firewall_rules import loaded

ACCEPT = {"accept": None}
JUMP = {"jump": {"target": "open"}}
STATE, PORT = {"ct": {"key": "state"}}, {"payload": {"protocol": "tcp", "field": "dport"}}


def accepts(*expressions: dict[str, Any]) -> list[str]:
    """What one rule of a closed input lets through."""
    place = {"family": "inet", "table": "socle"}
    chain = {"chain": {**place, "name": "in", "hook": "input", "policy": "drop"}}
    rule = {"rule": {**place, "chain": "in", "expr": list(expressions)}}
    found: list[str] = loaded([chain, rule])["accepts"]
    return found


def verdicts(key: Any, *pairs: Any) -> dict[str, Any]:
    return {"vmap": {"key": key, "data": {"set": [list(pair) for pair in pairs]}}}


def test_a_map_of_verdicts_as_every_host_has_it() -> None:
    told = verdicts(STATE, ("established", ACCEPT), ("related", ACCEPT), ("invalid", {"drop": None}))
    assert accepts(told) == ["input state established,related"]
    assert accepts(verdicts(PORT, (23, {"drop": None}))) == []


@pytest.mark.parametrize("verdict", [JUMP, {"goto": {"target": "open"}}, {"queue": None}, {"continue": None}])
def test_a_map_that_sends_packets_elsewhere_lets_them_through(verdict: dict[str, Any]) -> None:
    (line,) = accepts(verdicts(PORT, (4444, verdict)))
    assert line.startswith("input tcp 4444 {")
    (line,) = accepts(verdicts(STATE, ("established", ACCEPT), ("related", ACCEPT), ("new", verdict)))
    assert "new {" in line
    assert line != "input state established,related"


def test_a_map_by_its_name_may_hold_anything() -> None:
    assert accepts({"vmap": {"key": PORT, "data": "@ports"}}) == ["input tcp @ports"]
