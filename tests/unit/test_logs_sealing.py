"""Closing, packing and removing days: nothing is overwritten, lost, or touched behind a link."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from socle.logs import node, places, sealing
from socle.logs.chain import judge
from socle.logs.store import NodeLog, read_lines

DAY = "2026-11-30"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
EVERY = timedelta(minutes=15)


def sealed(store: Path, now: datetime) -> None:
    sealing.seal(store, lambda _text: "vault:v1:x", now)
    sealing.pack(store)


def faults(store: Path, now: datetime) -> list[str]:
    return judge(sealing.measure(store), lambda *_: True, now=now, keep_until="2025", every=EVERY, seen=None)


def write(log: NodeLog, *texts: str) -> None:
    log.append({"__CURSOR": text, "MESSAGE": text} for text in texts)
    log.acknowledge()


def kept(store: Path) -> int:
    return sum(1 for path in sealing.files_of(store) for _line in read_lines(path))


def test_a_clock_that_was_ahead_loses_nothing(tmp_path: Path) -> None:
    log = NodeLog(tmp_path / "cmp1", day=lambda: DAY)
    write(log, "morning")
    sealed(tmp_path, NOON)
    sealed(tmp_path, NOON + timedelta(days=2))
    for hour in (1, 2):
        write(log, f"afternoon {hour}")
        sealed(tmp_path, NOON + timedelta(hours=hour))
    write(NodeLog(tmp_path / "cmp1", day=lambda: DAY), "evening")
    assert kept(tmp_path) == 4
    for days in (1, 1, 5):
        sealed(tmp_path, NOON + timedelta(days=days))
    assert faults(tmp_path, NOON + timedelta(days=5)) == []
    names = [path.name for path in sealing.files_of(tmp_path)]
    assert names == [f"{DAY}.jsonl.gz", f"{DAY}_01.jsonl.gz"]
    asked = {"do": "search", "text": "afternoon"}
    assert len(list(node.answer(tmp_path, frozenset(), asked))) == 2


def test_what_is_written_while_a_day_is_closed_goes_elsewhere(tmp_path: Path) -> None:
    log = NodeLog(tmp_path / "cmp1", day=lambda: DAY)
    write(log, "morning")

    def written_meanwhile(_text: bytes) -> str:
        write(log, "meanwhile")
        return "vault:v1:x"

    sealing.seal(tmp_path, written_meanwhile, NOON + timedelta(days=2))
    write(NodeLog(tmp_path / "cmp1", day=lambda: DAY), "after a start")
    sealed(tmp_path, NOON)
    assert kept(tmp_path) == 3
    assert faults(tmp_path, NOON) == []


def test_a_day_that_is_being_written_is_not_closed(tmp_path: Path) -> None:
    write(NodeLog(tmp_path / "cmp1", day=lambda: DAY), "morning")
    with (tmp_path / f"cmp1/{DAY}.jsonl").open("a") as writer:
        places.fcntl.flock(writer, places.fcntl.LOCK_EX)
        sealed(tmp_path, NOON + timedelta(days=2))
    assert (tmp_path / f"cmp1/{DAY}.jsonl").exists()
    sealed(tmp_path, NOON + timedelta(days=2))
    assert not (tmp_path / f"cmp1/{DAY}.jsonl").exists()


def test_a_node_that_comes_back_after_its_day_was_packed_is_acknowledged(tmp_path: Path) -> None:
    days = [DAY]
    log = NodeLog(tmp_path / "cmp1", day=lambda: days[-1])
    write(log, "morning")
    sealed(tmp_path, NOON + timedelta(days=2))
    days.append("2026-12-02")
    write(log, "back")
    assert kept(tmp_path) == 2


def test_a_packed_day_is_never_replaced(tmp_path: Path) -> None:
    write(NodeLog(tmp_path / "cmp1", day=lambda: DAY), "morning")
    sealed(tmp_path, NOON + timedelta(days=2))
    packed, plain = tmp_path / f"cmp1/{DAY}.jsonl.gz", tmp_path / f"cmp1/{DAY}.jsonl"
    before = packed.read_bytes()
    plain.write_bytes(gzip.decompress(before))
    sealing.pack(tmp_path)
    assert (packed.read_bytes(), plain.exists()) == (before, False), "a kill left both"
    plain.write_text("another\n", "utf-8")
    assert any("were added" in fault for fault in faults(tmp_path, NOON))
    with pytest.raises(sealing.SealingError, match=rf"cmp1/{DAY}.jsonl: is packed already"):
        sealing.pack(tmp_path)
    assert (packed.read_bytes(), plain.read_text("utf-8")) == (before, "another\n")


def test_what_is_on_disk_before_the_plain_file_goes_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(NodeLog(tmp_path / "cmp1", day=lambda: DAY), *map(str, range(5000)))
    plain = (tmp_path / f"cmp1/{DAY}.jsonl").read_bytes()
    real, seen = os.fsync, list[bytes]()

    def synced(handle: int) -> None:
        name = Path(f"/proc/self/fd/{handle}").readlink()
        if name.name.endswith(".gz.new"):
            seen.append(name.read_bytes())
        real(handle)

    monkeypatch.setattr(os, "fsync", synced)
    sealed(tmp_path, NOON + timedelta(days=2))
    assert [gzip.decompress(content) for content in seen] == [plain]


def test_a_run_removes_few_days_and_only_packed_ones(tmp_path: Path) -> None:
    for number in range(1, 7):
        write(NodeLog(tmp_path / "cmp1", day=lambda n=number: f"2026-11-0{n}"), str(number))  # type: ignore[misc]
    far = NOON + timedelta(days=4000)
    assert sealing.expire(tmp_path, 12, far) == []
    sealed(tmp_path, NOON)
    assert len(sealing.expire(tmp_path, 12, far)) == 3
    assert [path.name[:10] for path in sealing.files_of(tmp_path)] == [f"2026-11-0{n}" for n in (4, 5, 6)]
    assert len(sealing.expire(tmp_path, 12, far, at_once=31)) == 3


@pytest.mark.parametrize("kind", ["file", "folder", "pipe"])
def test_nothing_is_read_or_written_behind_a_link(tmp_path: Path, kind: str) -> None:
    store, foreign = tmp_path / "store", tmp_path / "foreign"
    write(NodeLog(store / "cmp1", day=lambda: DAY), "own")
    foreign.mkdir()
    secret = foreign / "2026-11-01.jsonl"
    secret.write_text("secret\n", "utf-8")
    match kind:
        case "file":
            (store / "cmp1/2026-11-01.jsonl").symlink_to(secret)
        case "folder":
            (store / "cmp2").symlink_to(foreign)
        case _:
            os.mkfifo(store / "cmp1/2026-11-01.jsonl")
    target = foreign / "target"
    target.write_text("untouched", "utf-8")
    (store / f"cmp1/.{DAY}.jsonl.gz.new").symlink_to(target)
    sealed(store, NOON + timedelta(days=2))
    stream = io.BytesIO()
    node.send(store, {}, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        assert archive.getnames() == ["seals.jsonl", f"cmp1/{DAY}.jsonl.gz"]
    assert list(node.answer(store, frozenset(), {"do": "search", "text": "secret"})) == []
    assert set(sealing.measure(store).sizes) == {f"cmp1/{DAY}.jsonl"}
    sealing.expire(store, 0, NOON + timedelta(days=900), at_once=99)
    assert (secret.read_text("utf-8"), target.read_text("utf-8")) == ("secret\n", "untouched")


def test_a_link_is_refused_where_a_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/2026-11-01.jsonl").write_text("{}\n", "utf-8")
    (tmp_path / "real/link").symlink_to("2026-11-01.jsonl")
    (tmp_path / "folder").symlink_to("real")
    for path in (tmp_path / "real/link", tmp_path / "folder/2026-11-01.jsonl", tmp_path / "real"):
        with pytest.raises(OSError, match=r"symbolic|directory|no file"):
            places.opened(path)
    (tmp_path / "seals.jsonl").symlink_to("real/2026-11-01.jsonl")
    with pytest.raises(OSError, match="symbolic"):
        sealing.seal(tmp_path, lambda _text: "vault:v1:x", NOON)
