"""Every control both ways: green on a good cloud, red and alone when broken, never green unread."""

from __future__ import annotations

from functools import cache

import pytest

from socle.audit import controls, probe
from socle.audit.collect import COLLECTORS
from socle.audit.judging import judge, judge_all
from socle.audit.model import Control, Facts, Status
from socle.audit.mutations import mutated
from tests.unit.audit_golden import clouds, golden

CONTROLS = controls.load()
ALL = pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)


@cache
def statuses(cloud: str) -> dict[str, Status]:
    return {j.control: j.status for j in judge_all(CONTROLS, golden(cloud))}


def where_green(control: Control) -> list[Facts]:
    return [golden(cloud) for cloud in clouds() if statuses(cloud)[control.id] is Status.CONFORME]


def sources() -> set[str]:
    """The facts that collectors and probes declare."""
    told = {fact.name for collector in COLLECTORS for fact in collector.facts}
    return told | {one.fact.name for one in probe.chosen(())}


@ALL
def test_a_source_declares_each_fact_that_it_needs(control: Control) -> None:
    assert set(control.needs) <= sources()


@pytest.mark.parametrize("cloud", clouds())
def test_what_was_recorded_is_what_sources_declare(cloud: str) -> None:
    recorded = golden(cloud)
    assert {fact.name for fact in recorded.facts} | recorded.expected.keys() <= sources()


@ALL
def test_no_false_alarm_on_a_good_cloud(control: Control) -> None:
    found = {cloud: judge(control, golden(cloud)).findings for cloud in clouds()}
    assert not [findings for findings in found.values() if findings], found


@ALL
def test_it_is_green_somewhere_and_turns_red_when_its_setting_is_broken(control: Control) -> None:
    green = where_green(control)
    assert green, {cloud: judge(control, golden(cloud)).reason for cloud in clouds()}
    for facts in green:
        assert judge(control, mutated(control, facts)).status is Status.NON_CONFORME


@ALL
def test_no_other_control_turns_red_with_it(control: Control) -> None:
    allowed = {control.id, *control.mutate.also}
    for facts in where_green(control):
        broken = mutated(control, facts)
        changed = {
            name: other
            for name, other in CONTROLS.items()
            if set(other.needs) & {control.mutate.fact or control.needs[0]}
        }
        red = {j.control for j in judge_all(changed, broken) if j.status is Status.NON_CONFORME}
        assert red <= allowed


@ALL
def test_it_is_never_green_when_a_fact_is_missing_forbidden_or_of_another_shape(control: Control) -> None:
    for facts in where_green(control)[:1]:
        for name in control.needs:
            others = tuple(fact for fact in facts.facts if fact.name != name)
            own = [fact for fact in facts.facts if fact.name == name]
            forbidden = own[0].model_copy(update={"value": None, "problem": "403 : interdit"})
            strange = own[0].model_copy(update={"value": None})
            readings = {
                "not collected": facts.model_copy(
                    update={
                        "facts": others,
                        "expected": {k: v for k, v in facts.expected.items() if k != name},
                    }
                ),
                "empty": facts.model_copy(update={"facts": others}),
                "no subject": facts.model_copy(
                    update={"facts": others, "expected": {**facts.expected, name: ()}}
                ),
                "forbidden": facts.model_copy(update={"facts": (*others, forbidden, *own[1:])}),
                "strange": facts.model_copy(update={"facts": (*others, strange, *own[1:])}),
            }
            for kind, broken in readings.items():
                assert judge(control, broken).status is not Status.CONFORME, (name, kind)


def test_a_reason_of_several_hosts_is_told_once() -> None:
    facts, name = golden("lab"), "host.system"
    expected = {**facts.expected, name: ("cmp1", "ctl1")}
    nothing = facts.model_copy(update={"facts": (), "expected": expected})
    assert judge(CONTROLS["host-release"], nothing).reason == "cmp1, ctl1 : aucune lecture"
