"""What breaking settings of a lab proves: a red of the right control, alone, and a repair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from socle.audit import controls as control_files
from socle.audit.model import Control, Fact, Facts, LiveMutation, Mutation
from socle.audit.mutating.broken import Bench
from socle.audit.mutating.interrupts import Interrupts
from socle.audit.mutating.outcomes import MutationExit, Mutations, Outcome, Result
from socle.audit.mutating.rounds import Rounds
from socle.audit.mutating.trials import SESSIONS, Trial, left_out, planned
from socle.cli.app import INTERRUPTED, run
from socle.errors import ExitCode
from socle.paths import project_root
from socle.site import load
from tests.unit.audit_golden import one_pass

LAB = project_root() / "inventories/lab"


class World:
    """Two nodes, each a folder; a control is green while its file says good."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.readings = 0
        for node in ("n1", "n2"):
            (folder / node).mkdir()
            for name in ("a", "b", "c"):
                (folder / node / name).write_text("good")
        self.bench = Bench(folder / "broken.json", lambda _node: [], str(folder / "kept"))

    def control(self, name: str, also: tuple[str, ...] = (), source: str = "host") -> Control:
        return Control(
            id=name,
            title_fr=name,
            title_en=name,
            requirements=("9.6.d",),
            claim="full",
            needs=(f"{source}.{name}",),
            rule="settings",
            expect={"says": "good"},
            mutate=Mutation(set={"says": "bad"}, also=also, live=LiveMutation(break_="true")),
            severity="low",
            remediation_fr="",
        )

    def read(self, _trials: Sequence[Trial] = ()) -> Facts:
        self.readings += 1
        return one_pass(
            Fact(
                name=f"{source}.{name}",
                subject=node,
                value={"says": (self.folder / node / name).read_text()},
            )
            for name in ("a", "b", "c")
            for node in ("n1", "n2")
            for source in ("host", "config")
        )

    def trial(self, control: Control, node: str, breaks: str, **more: object) -> Trial:
        files = (f"{self.folder}/{node}/{control.id}",)
        live = LiveMutation.model_validate({"break": breaks.format(*files), "files": files} | more)
        return Trial(control, live, node, SESSIONS)

    def rounds(
        self, trials: Sequence[Trial], controls: dict[str, Control], until: float | None = None
    ) -> Rounds:
        self.settled: list[list[str]] = []
        with Interrupts() as interrupts:
            rounds = Rounds(
                controls,
                self.read(),
                bench=self.bench,
                read=self.read,
                interrupts=interrupts,
                settled=lambda outcomes: self.settled.append([one.control for one in outcomes]),
                until=until,
                pause=0,
            )
            rounds.run(trials)
        return rounds


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


BAD = "printf bad > {0}"


def test_what_is_broken_is_found_and_one_reading_serves_two(world: World) -> None:
    controls = {name: world.control(name) for name in ("a", "b", "c")}
    trials = [world.trial(controls[name], "n1", BAD) for name in ("a", "b")]
    trials.append(world.trial(controls["c"], "n2", BAD))
    rounds = world.rounds(trials, controls)
    assert {name: one.result for name, one in rounds.outcomes.items()} == dict.fromkeys("abc", Result.FOUND)
    assert not rounds.changed
    assert world.readings == 4  # as it is, a and c broken, b broken, all repaired
    assert world.bench.broken() == []


def test_an_outcome_is_settled_once_its_setting_is_seen_repaired(world: World) -> None:
    controls = {name: world.control(name) for name in ("a", "b")}
    world.rounds([world.trial(controls[name], "n1", BAD) for name in ("a", "b")], controls)
    assert world.settled == [[], ["a"], ["a", "b"]]


def test_nothing_is_broken_once_the_time_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("socle.audit.mutating.rounds.time.monotonic", lambda: next(clock))
    controls = {name: world.control(name) for name in ("a", "b")}
    trials = [world.trial(controls[name], "n1", BAD) for name in ("a", "b")]
    rounds = world.rounds(trials, controls, until=1)
    assert list(rounds.outcomes) == ["a"]
    assert rounds.outcomes["a"].result is Result.FOUND
    assert world.settled[-1] == ["a"]
    assert world.bench.broken() == []


def test_a_control_that_looks_elsewhere_misses(world: World) -> None:
    controls = {name: world.control(name) for name in ("a", "b")}
    trials = [world.trial(controls["a"], "n1", "printf 'good' > {0}; chmod 600 {0}")]
    trials.append(world.trial(controls["b"], "n2", BAD))
    rounds = world.rounds(trials, controls)
    assert rounds.outcomes["a"].result is Result.MISSED
    assert rounds.outcomes["b"].result is Result.FOUND


def test_another_control_that_turns_red_is_told_unless_it_is_said_to(world: World) -> None:
    for also, told in (((), ("b",)), (("b",), ())):
        controls = {"a": world.control("a", also), "b": world.control("b")}
        trial = world.trial(
            controls["a"],
            "n1",
            f"{BAD}; printf bad > {world.folder}/n1/b",
            repair=f"printf good > {world.folder}/n1/b",
        )
        outcome = world.rounds([trial], controls).outcomes["a"]
        assert (outcome.result, outcome.also) == (Result.FOUND, told)


def test_a_break_on_one_node_is_not_proved_by_the_red_of_another(world: World) -> None:
    controls = {name: world.control(name) for name in ("a", "b")}
    wrong = f"chmod 600 {{0}}; printf bad > {world.folder}/n2/a"
    trials = [
        world.trial(controls["a"], "n1", wrong, repair=f"printf good > {world.folder}/n2/a"),
        world.trial(controls["b"], "n2", BAD),
    ]
    rounds = world.rounds(trials, controls)
    assert rounds.outcomes["a"].result is Result.MISSED
    assert rounds.outcomes["b"].result is Result.FOUND
    assert not rounds.outcomes["b"].also  # it was tried again alone


def test_a_side_red_is_not_excused_by_what_is_broken_on_another_node(world: World) -> None:
    controls = {"a": world.control("a"), "b": world.control("b", also=("c",)), "c": world.control("c")}
    more = f"{BAD}; printf bad > {world.folder}/n1/c"
    trials = [
        world.trial(controls["a"], "n1", more, repair=f"printf good > {world.folder}/n1/c"),
        world.trial(controls["b"], "n2", BAD),
    ]
    rounds = world.rounds(trials, controls)
    assert rounds.outcomes["a"].also == ("c",)
    assert rounds.outcomes["b"].also == ()


def test_files_of_several_components_are_broken_at_once_and_a_red_must_name_its_own(world: World) -> None:
    controls = {name: world.control(name, source="config") for name in ("a", "b", "c")}
    names = "echo bad {0} > {0}"
    trials = [world.trial(controls[name], "n1", names) for name in ("a", "b")]
    rounds = world.rounds(trials, controls)
    assert [one.result for one in rounds.outcomes.values()] == [Result.FOUND, Result.FOUND]
    assert world.readings == 3  # as it is, both broken, both repaired
    strange = f"chmod 600 {{0}}; printf 'bad {world.folder}/n1/c' > {world.folder}/n1/a"
    trials = [
        world.trial(controls["a"], "n1", strange, repair=f"printf good > {world.folder}/n1/a"),
        world.trial(controls["b"], "n1", names),
    ]
    rounds = world.rounds(trials, controls)
    assert [one.result for one in rounds.outcomes.values()] == [Result.FOUND, Result.FOUND]
    assert world.readings > 3 + 3  # not believed at once: tried again alone


def test_a_setting_that_comes_back_red_is_not_repaired(world: World) -> None:
    controls = {name: world.control(name) for name in ("a", "b")}
    live = LiveMutation(break_=f"printf bad > {world.folder}/n1/a")
    trials = [Trial(controls["a"], live, "n1", SESSIONS), world.trial(controls["b"], "n1", BAD)]
    rounds = world.rounds(trials, controls)
    assert rounds.outcomes["a"].result is Result.NOT_REPAIRED
    assert rounds.outcomes["b"].result is Result.FOUND


@pytest.mark.parametrize(
    ("control", "left"),
    [
        ("hardening-sudo", {"rabbitmq", "tenant_events"}),
        ("lockout-settings", {"rabbitmq", "tenant_events"}),  # hardening-lockout turns red with it
        ("sudo-rights", {"hardening", "rabbitmq", "tenant_events"}),
        ("rabbitmq-accounts", {"hardening", "tenant_events"}),
    ],
)
def test_a_costly_section_is_read_again_where_it_may_have_turned_red(control: str, left: set[str]) -> None:
    every = control_files.load()
    assert left_out(planned(load(LAB), [every[control]]), every) == left


def test_red_before_or_not_breakable_proves_nothing(world: World) -> None:
    (world.folder / "n2/a").write_text("bad")
    controls = {name: world.control(name) for name in ("a", "b")}
    trials = [world.trial(controls["a"], "n1", BAD), world.trial(controls["b"], "n1", "exit 3")]
    rounds = world.rounds(trials, controls)
    assert rounds.outcomes["a"].result is Result.NOT_GREEN
    assert rounds.outcomes["b"].result is Result.NOT_BROKEN
    assert (world.folder / "n1/b").read_text() == "good"


def test_the_gravest_decides_the_exit_code() -> None:
    now = datetime.now(UTC)

    def code(*results: Result, also: tuple[str, ...] = (), broken: tuple[str, ...] = ()) -> int:
        outcomes = tuple(Outcome("a", result, also=also) for result in results)
        run = Mutations("lab", now, now, outcomes, broken=broken)
        assert json.loads(json.dumps(run.as_json()))["code"] == run.exit_code
        return run.exit_code

    assert code(Result.FOUND, Result.NOT_LIVE) == MutationExit.FOUND
    assert code(Result.FOUND, Result.NOT_GREEN) == MutationExit.NOT_TRIED
    assert code(Result.NOT_BROKEN, Result.MISSED) == MutationExit.MISSED
    left = Mutations("lab", now, now, (Outcome("a", Result.FOUND),), left=("b",))
    assert left.exit_code == MutationExit.NOT_TRIED
    assert code(Result.FOUND, also=("b",)) == MutationExit.MISSED
    assert code(Result.MISSED, Result.NOT_REPAIRED) == MutationExit.NOT_REPAIRED
    assert code(Result.FOUND, broken=("a : ctl1",)) == MutationExit.NOT_REPAIRED


def test_a_run_goes_on_after_another_and_what_is_tried_again_counts() -> None:
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    found, missed = Outcome("a", Result.FOUND, also=("c",)), Outcome("b", Result.MISSED)
    earlier = Mutations("lab", first, first, (found, missed), repaired=("b : n1",), left=("c",))
    assert Mutations.of_json(json.loads(json.dumps(earlier.as_json()))) == earlier
    again, more = Outcome("b", Result.FOUND), Outcome("c", Result.FOUND)
    both = Mutations("lab", last, last, (more, again)).after(earlier).ordered(["a", "b", "c"])
    assert both == Mutations("lab", first, last, (found, again, more), repaired=("b : n1",))


def test_the_command_tries_what_the_results_do_not_hold_and_writes_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "mutations.json"
    words = ["--site", str(LAB), "audit", "mutations", "--results", str(results), "--resume"]
    every = list(control_files.load())
    asked: list[list[str]] = []
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    def killed(_site: object, chosen: Sequence[Control], *_: object, **more: Any) -> Mutations:
        asked.append([one.id for one in chosen])
        more["record"](Mutations("lab", moment, moment, (Outcome(asked[-1][0], Result.FOUND),)))
        raise KeyboardInterrupt

    monkeypatch.setattr("socle.audit.mutating.running.mutate", killed)
    for more in ([], [], ["--control", every[0]]):
        assert run([*words, *more]) == INTERRUPTED
    assert asked == [every, every[1:], [every[0]]]
    told = json.loads(results.read_text("utf-8"))
    assert [one["control"] for one in told["outcomes"]] == every[:2]
    results.write_text(json.dumps(told | {"site": "other"}), encoding="utf-8")
    assert run(words) == ExitCode.FAILED
    assert len(asked) == 3
