"""Breaking on purpose: kept before it is broken, repaired after a kill.

The node is this machine and its files are a folder's; everything else is what runs on the lab.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from socle.audit.model import LiveMutation
from socle.audit.mutating.broken import Bench, Broken
from socle.errors import SocleError
from socle.paths import project_root

LAB = project_root() / "inventories/lab"
DRIVER = """
import sys
from pathlib import Path
from socle.audit.model import LiveMutation
from socle.audit.mutating.broken import Bench, Broken
from socle.audit.mutating.interrupts import Interrupts
folder = Path(sys.argv[1])
live = LiveMutation.model_validate_json(sys.argv[2])
bench = Bench(folder / "broken.json", lambda _node: [], str(folder / "kept"))
with Interrupts() as interrupts:
    try:
        with interrupts.held():
            bench.breaks(Broken("a", "n1", live))
        import time
        time.sleep(60)
    finally:
        with interrupts.held(silent=True):
            bench.repair_all()
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "broken.json", lambda _node: [], str(tmp_path / "kept"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "node" / "secret conf"
    path.parent.mkdir()
    path.write_bytes(b"good\n\x00\xff")
    path.chmod(0o640)
    return path


def setting(*files: Path, breaks: str, repair: str | None = None) -> Broken:
    live = LiveMutation(files=tuple(map(str, files)), break_=breaks, repair=repair)
    return Broken("a", "n1", live)


def test_files_come_back_byte_for_byte_with_their_rights(bench: Bench, file: Path, tmp_path: Path) -> None:
    absent, link = tmp_path / "absent", tmp_path / "link"
    link.symlink_to("node")
    broken = setting(
        file, absent, link, breaks=f"echo bad > '{file}'; chmod 666 '{file}'; touch {absent}; rm {link}"
    )
    bench.breaks(broken)
    assert file.read_text() == "bad\n"
    assert bench.broken() == [broken]
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "broken.json").stat().st_mode & 0o777 == 0o600
    bench.repair(broken)
    assert file.read_bytes() == b"good\n\x00\xff"
    assert file.stat().st_mode & 0o777 == 0o640
    assert not absent.exists()
    assert link.readlink() == Path("node")
    assert bench.broken() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "node"]


def test_no_content_of_a_file_is_in_the_journal(bench: Bench, file: Path) -> None:
    bench.breaks(setting(file, breaks=f"rm '{file}'"))
    assert "good" not in bench.journal.read_text()


def test_a_break_that_fails_or_changes_nothing_is_told_and_repaired(bench: Bench, file: Path) -> None:
    for command, told in ((f"echo x > '{file}'; false", "ended with 1"), ("true", "changed none")):
        broken = setting(file, breaks=command)
        with pytest.raises(SocleError, match=told):
            bench.breaks(broken)
        assert bench.broken() == [broken]
        assert bench.repair_all() == []
        assert file.read_bytes() == b"good\n\x00\xff"


def test_what_cannot_be_repaired_stays_in_the_journal_and_the_others_are_repaired(
    bench: Bench, file: Path, tmp_path: Path
) -> None:
    bad = Broken("b", "n1", LiveMutation(break_="true", repair=f"test -e {tmp_path}/now"))
    bench.breaks(setting(file, breaks=f"rm '{file}'"))
    bench.breaks(bad)
    assert len(bench.repair_all()) == 1
    assert file.exists()
    assert bench.broken() == [bad]
    (tmp_path / "now").touch()
    assert bench.repair_all() == []
    assert bench.broken() == []


def test_a_node_that_cannot_be_entered_is_not_taken_for_repaired(bench: Bench, file: Path) -> None:
    broken = setting(file, breaks=f"rm '{file}'")
    bench.breaks(broken)
    shut = Bench(bench.journal, lambda _node: ["false"], bench.kept)
    assert shut.repair_all()
    assert shut.broken() == [broken]


def test_a_kill_before_the_files_were_kept_leaves_nothing_to_repair(bench: Bench, file: Path) -> None:
    broken = setting(file, breaks="true", repair=f"echo worse > '{file}'")
    bench._write([broken])
    (Path(bench.kept) / "a.new").mkdir(parents=True)
    assert bench.repair_all() == []
    assert file.read_bytes() == b"good\n\x00\xff"
    assert not Path(bench.kept).exists()


def start(folder: Path, broken: Broken, file: Path) -> subprocess.Popen[bytes]:
    """A run that has broken its setting and goes on."""
    words = [sys.executable, "-c", DRIVER, str(folder), broken.live.model_dump_json(by_alias=True)]
    run = subprocess.Popen(words)
    end = time.monotonic() + 30
    while file.read_bytes() != b"bad\n":
        assert time.monotonic() < end
        assert run.poll() is None
        time.sleep(0.02)
    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("during", ["", "sleep 1"])
def test_a_signal_repairs_before_the_run_ends(
    bench: Bench, file: Path, tmp_path: Path, number: signal.Signals, during: str
) -> None:
    run = start(tmp_path, setting(file, breaks=f"echo bad > '{file}'; {during}"), file)
    run.send_signal(number)
    assert run.wait(30) != 0
    assert file.read_bytes() == b"good\n\x00\xff"
    assert bench.broken() == []


@pytest.mark.parametrize("during", ["", "sleep 1"])
def test_the_next_start_repairs_what_a_kill_left(
    bench: Bench, file: Path, tmp_path: Path, during: str
) -> None:
    broken = setting(file, breaks=f"echo bad > '{file}'; {during}")
    run = start(tmp_path, broken, file)
    run.kill()
    run.wait()
    assert file.read_bytes() == b"bad\n"
    assert bench.broken() == [broken]
    assert bench.repair_all() == []
    assert file.read_bytes() == b"good\n\x00\xff"
