"""Hardening as the nodes have it: every rule that a node can show is read there and judged."""

from __future__ import annotations

import json

import pytest

from socle.hardening import Check, HostTraits, applied, checks
from socle.hardening.people import accounts_of
from socle.site.entrance import user_authority
from tests.roles.lab import NODES, SITE, each_node, facts, host


def traits(node: str) -> HostTraits:
    """What the rules know of a node."""
    entry = SITE.hosts[node]
    people = {login: person.model_dump() for login, person in SITE.people.people.items()}
    able = entry.capabilities.model_dump()
    return HostTraits(
        entry.groups, able, SITE.settings.deploy_user, tuple(accounts_of(people)), user_authority(SITE)
    )


EVERY = [(node, check) for node in NODES for check in checks(applied(traits(node)))]


@pytest.mark.parametrize(("node", "check"), EVERY, ids=[f"{node}-{check.name}" for node, check in EVERY])
def test_a_rule_holds(node: str, check: Check) -> None:
    # Some commands end with 1 when a file that they look for is not there; the text is what is judged.
    assert check.judge(str(host(node).run(check.command).stdout)) == []


@each_node
def test_what_a_node_cannot_show_is_told_there(node: str) -> None:
    report = facts(node, "cat /etc/socle/hardening.json")
    wanted = applied(traits(node))
    assert [item["what"] for item in report["not_evaluated"]] == [item.what for item in wanted.not_evaluated]
    assert all(item["reason"] for item in report["not_evaluated"])
    assert json.dumps(report["deviations"])
