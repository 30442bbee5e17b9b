"""Phases of a deployment: what waits for what, what a failure or Ctrl-C leaves."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from socle.deploy import journal, progress
from socle.deploy.phases import Phase, Reporter, execute
from socle.deploy.progress import Screen
from socle.errors import SocleError


class Reports:
    """Makes reporters that leave no trace but names."""

    def __init__(self, folder: Path) -> None:
        self.run = journal.begin(folder, "deploy")

    def __call__(self) -> Reporter:
        return Reporter(self.run, Quiet(), {})

    @property
    def results(self) -> dict[str, str]:
        return {phase.name: phase.result for phase in self.run.phases}


class Quiet(Screen):
    """A screen that says nothing."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))


def noting(seen: list[str], name: str) -> Callable[[Reporter], None]:
    return lambda _reporter: seen.append(name)


def test_phases_run_after_what_they_wait_for(tmp_path: Path) -> None:
    seen: list[str] = []
    graph = [("c", ("b",)), ("b", ("a",)), ("a", ()), ("d", ("absent", "c"))]
    reports = Reports(tmp_path)
    execute([Phase(n, noting(seen, n), after) for n, after in graph], reports, lambda: None)
    assert seen == ["a", "b", "c", "d"]
    assert reports.results == dict.fromkeys("abcd", "done")


def test_phases_that_wait_for_nothing_run_beside_each_other(tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=10)
    phases = [Phase(name, lambda _r: together.wait() and None) for name in "ab"]
    execute(phases, Reports(tmp_path), lambda: None)


def test_when_a_phase_fails_what_runs_may_end_and_nothing_is_begun(tmp_path: Path) -> None:
    failed = threading.Event()

    def fail(_reporter: Reporter) -> None:
        failed.set()
        raise SocleError("no room")

    def slow(_reporter: Reporter) -> None:
        failed.wait(10)
        time.sleep(0.1)

    seen: list[str] = []
    reports = Reports(tmp_path)
    phases = [Phase("fail", fail), Phase("slow", slow), Phase("after", noting(seen, "after"), ("slow",))]
    with pytest.raises(SocleError, match="no room"):
        execute(phases, reports, lambda: None)
    assert seen == []
    assert reports.results == {"fail": "failed", "slow": "done"}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C counts, even where the tests run in the background, which makes a process deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_stops_what_runs(tmp_path: Path) -> None:
    stopping = threading.Event()

    def interrupt(_reporter: Reporter) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.wait(10)

    with pytest.raises(KeyboardInterrupt):
        execute([Phase("long", interrupt)], Reports(tmp_path), stopping.set)


def test_without_a_terminal_a_long_phase_says_what_it_does_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = io.StringIO()
    screen = Screen(Console(file=said, force_terminal=False, width=80))
    line = screen.begin("tools", None)
    screen.tell(line, "pulumi is being built: 10 s")
    monkeypatch.setattr(line, "said", line.said - progress.QUIET_FOR)
    screen.tell(line, "pulumi is being built: 40 s")
    screen.tell(line, "pulumi is being built: 50 s")
    assert said.getvalue().splitlines() == ["tools …", "tools: pulumi is being built: 40 s"]
