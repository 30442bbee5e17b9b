"""The journal and the lock, with real processes that are really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from socle.deploy import journal, lock
from socle.deploy.processes import lives, started
from socle.errors import ExitCode, SocleError


@contextmanager
def process(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has said its first line; killed at the end if it still lives."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout
            assert running.stdout.readline().strip() == "ready"
            yield running
        finally:
            running.kill()


HOLDER = """
    import subprocess, sys, time
    from pathlib import Path
    from socle.deploy import lock
    with lock.hold(Path(sys.argv[1])) as descriptor:
        if len(sys.argv) > 2:
            subprocess.Popen(["sleep", sys.argv[2]], pass_fds=(descriptor,), stdout=subprocess.DEVNULL)
        print("ready", flush=True)
        time.sleep(60)
"""
WRITER = """
    import sys
    from pathlib import Path
    from socle.deploy import journal
    run = journal.begin(Path(sys.argv[1]), "deploy")
    print("ready", flush=True)
    while True:
        run.add("phase %d" % len(run.phases))
"""


def test_the_second_run_says_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with process(HOLDER, str(path)) as holder, pytest.raises(SocleError) as caught, lock.hold(path):
        pass
    assert caught.value.exit_code == ExitCode.LOCKED
    line = str(caught.value)
    assert "\n" not in line
    for told in (str(path), lock.user(), f"process {holder.pid}", time.strftime("%Y-%m-%d"), "wait for it"):
        assert told in line


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with process(HOLDER, str(path)) as holder:
        holder.kill()
        holder.wait()
        begun = time.monotonic()
        with lock.hold(path):
            assert json.loads(path.read_text())["pid"] == os.getpid()
        assert time.monotonic() - begun < 5
    assert path.read_text() == ""


def test_the_next_run_waits_for_what_a_killed_one_left_at_work(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with process(HOLDER, str(path), "2") as holder:
        begun = time.monotonic()
        holder.kill()
        holder.wait()
        with lock.hold(path):
            waited = time.monotonic() - begun
    assert waited > 1


def test_what_a_killed_run_left_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "REMAINS", 0.5)
    path = tmp_path / "lock"
    with process(HOLDER, str(path), "5") as holder:
        holder.kill()
        holder.wait()
        with pytest.raises(SocleError) as caught, lock.hold(path):
            pass
    assert caught.value.exit_code == ExitCode.LOCKED


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    own = started(os.getpid())
    assert own is not None
    assert lives(os.getpid(), own)
    assert not lives(os.getpid(), own + 1)
    assert not lives(os.getpid(), None)


def test_a_run_is_recorded_with_its_phases(tmp_path: Path) -> None:
    run = journal.begin(tmp_path, "deploy --only nova")
    record = run.add("control")
    record.seconds, record.changed, record.executions, record.result = 12.5, 3, 40, "done"
    with run.recorded():
        pass
    (found,) = journal.runs(tmp_path)
    assert (found["command"], found["result"], found["user"]) == ("deploy --only nova", "done", lock.user())
    assert found["phases"][0]["executions"] == 40
    assert found["commit"]
    assert Path(found["folder"]).stat().st_mode & 0o777 == 0o700
    assert journal.last_seconds(tmp_path, "deploy --only nova") == {"control": 12.5}
    assert journal.last_seconds(tmp_path, "deploy") == {}


@pytest.mark.parametrize(
    ("error", "result"), [(SocleError("no room"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_how_a_run_ended_is_recorded(tmp_path: Path, error: BaseException, result: str) -> None:
    run = journal.begin(tmp_path, "deploy")
    with pytest.raises(type(error)), run.recorded():
        raise error
    (found,) = journal.runs(tmp_path)
    assert (found["result"], found["error"]) == (result, str(error))


def test_a_killed_run_reads_as_interrupted_and_is_whole_at_any_moment(tmp_path: Path) -> None:
    for moment in (0.0, 0.013, 0.047, 0.101, 0.166):
        with process(WRITER, str(tmp_path)) as writer:
            time.sleep(moment)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    found = journal.runs(tmp_path)
    assert [run["result"] for run in found] == ["interrupted"] * 5
    phases: list[dict[str, Any]] = [phase for run in found for phase in run["phases"]]
    assert phases
    assert {phase["result"] for phase in phases} == {"interrupted"}


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b'{"folder": "x'])
def test_a_record_that_a_power_cut_emptied_reads_as_interrupted(tmp_path: Path, content: bytes) -> None:
    run = journal.begin(tmp_path, "deploy --only nova")
    (run.folder / "run.json").write_bytes(content)
    time.sleep(0.002)
    whole = journal.begin(tmp_path, "deploy")
    lost, other = journal.runs(tmp_path)
    assert (lost["command"], lost["result"], lost["folder"]) == ("deploy", "interrupted", str(run.folder))
    assert lost.keys() == other.keys() == whole.facts().keys()
    assert journal.last_seconds(tmp_path, "deploy") == {}


def test_a_record_is_on_disk_when_a_phase_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = journal.begin(tmp_path, "deploy")
    synced = list[int]()
    monkeypatch.setattr(os, "fsync", synced.append)
    run.add("base")
    assert len(synced) == 2, "the file, and its name"
    assert [one.name for one in run.folder.iterdir()] == ["run.json"]


def test_the_time_of_a_phase_that_failed_is_not_that_of_last_time(tmp_path: Path) -> None:
    for seconds, result in ((10.0, "done"), (99.0, "failed")):
        run = journal.begin(tmp_path, "deploy")
        record = run.add("base")
        record.seconds = seconds
        record.result = "done" if result == "done" else "failed"
        with run.recorded():
            pass
        time.sleep(0.002)
    assert journal.last_seconds(tmp_path, "deploy") == {"base": 10.0}


def test_the_oldest_runs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT", 3)
    for _ in range(5):
        journal.begin(tmp_path, "deploy")
        time.sleep(0.002)
    assert len(journal.runs(tmp_path)) == 3


def test_a_journal_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where a folder should be")
    with pytest.raises(SocleError) as caught:
        journal.begin(tmp_path, "deploy")
    assert "cannot be written" in str(caught.value)
    assert "\n" not in str(caught.value)
