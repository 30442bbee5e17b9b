"""The audit reads all of the cloud as its auditor, who test_identity proves can change nothing."""

from __future__ import annotations

from socle.audit.collect.cloud import COLLECTORS
from tests.lab.conftest import Lab


def test_the_auditor_reads_every_fact_of_the_cloud(lab: Lab) -> None:
    collector = COLLECTORS[0]
    facts = {fact.name: fact for fact in collector.read(lab.site)}
    assert set(facts) == {kind.name for kind in collector.facts}
    assert not {name: fact.problem for name, fact in facts.items() if fact.problem}
    known = set(facts["keystone.projects"].value)
    assert {server["project"] for server in facts["nova.servers"].value} <= known
    assert {volume["project"] for volume in facts["cinder.volumes"].value} <= known
    assert len(facts["cinder.volumes"].value) >= len(facts["nova.servers"].value) > 0
