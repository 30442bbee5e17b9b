"""Copies of the central logs: what travels, what goes, and that a copy proves itself by the seals in it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from socle.audit.collect import log_copies
from socle.logs import copies, node, sealing
from tests.unit.test_logs_chain import faults, signer, write

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A closed day, not packed yet, and the next one."""
    folder = tmp_path / "store"
    write(folder, "cmp1", "2026-03-01", "one", "two")
    sealing.seal(folder, signer(), NOON)
    write(folder, "cmp1", "2026-03-02", "three")
    sealing.seal(folder, signer(), LATER)
    return folder


def sent(store: Path, copy: Path) -> bytes:
    """The archive that the store sends to whoever has this copy."""
    known = {str(path.relative_to(copy)): path.stat().st_size for path in sealing.files_of(copy)}
    stream = io.BytesIO()
    node.send(store, known, stream)
    return stream.getvalue()


def copied(store: Path, copy: Path) -> list[str]:
    """Bring a copy up to date; the names of the files that travelled."""
    copy.mkdir(exist_ok=True)
    archive = sent(store, copy)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        names = opened.getnames()[1:]
    copies.receive(io.BytesIO(archive), copy)
    return names


def test_a_copy_is_what_was_sealed_and_only_news_travel(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert copied(store, copy) == ["cmp1/2026-03-01.jsonl", "cmp1/2026-03-02.jsonl"]
    assert faults(copy) == []
    assert copied(store, copy) == []
    write(store, "cmp1", "2026-03-02", "four")
    assert copied(store, copy) == ["cmp1/2026-03-02.jsonl"]
    assert faults(copy) == []


def test_the_stores_own_program_answers_with_a_copy(store: Path, tmp_path: Path) -> None:
    settings = tmp_path / "logs.json"
    settings.write_text(json.dumps({"store": str(store)}), "utf-8")
    asked = json.dumps({"do": "copy", "known": {}}).encode()
    words = [sys.executable, "-m", "socle.logs.node", str(settings)]
    done = subprocess.run(words, input=asked, capture_output=True, check=True)
    copies.receive(io.BytesIO(done.stdout), tmp_path / "copy")
    assert faults(tmp_path / "copy") == []


def test_what_the_store_packs_and_drops_the_copy_does_too(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copied(store, copy)
    sealing.pack(store)
    assert copied(store, copy) == ["cmp1/2026-03-01.jsonl.gz"]
    assert not (copy / "cmp1/2026-03-01.jsonl").exists()
    assert faults(copy) == []


def changed(path: Path, before: bytes, after: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(before, after))


def test_what_the_store_lost_or_changed_is_kept_in_the_copy(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copied(store, copy)
    (store / "cmp1/2026-03-01.jsonl").unlink()
    copied(store, copy)
    assert faults(copy) == []
    changed(store / "cmp1/2026-03-02.jsonl", b"three", b"threshold")
    with pytest.raises(copies.DivergedError, match="2026-03-02"):
        copied(store, copy)
    (store / "cmp1/2026-03-02.jsonl").write_text("", "utf-8")
    with pytest.raises(copies.DivergedError, match="2026-03-02"):
        copied(store, copy)
    assert faults(copy) == []


def test_a_packed_day_that_is_another_is_refused(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copied(store, copy)
    changed(store / "cmp1/2026-03-01.jsonl", b"two", b"TWO")
    sealing.pack(store)
    with pytest.raises(copies.DivergedError, match="2026-03-01"):
        copied(store, copy)
    assert faults(copy) == []


def test_a_store_that_began_anew_is_refused(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copied(store, copy)
    new = tmp_path / "new"
    write(new, "cmp1", "2026-03-03", "five")
    sealing.seal(new, signer(), LATER)
    with pytest.raises(copies.DivergedError, match=r"seals\.jsonl"):
        copied(new, copy)
    assert faults(copy) == []


def test_a_copy_that_was_changed_is_found_by_its_seals(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copied(store, copy)
    path = copy / "cmp1/2026-03-01.jsonl"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"two", b"TWO"))
    assert any("cmp1/2026-03-01.jsonl" in fault for fault in faults(copy))


def test_a_stream_that_breaks_off_lays_no_half_of_a_file(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copied(store, copy)
    before = (copy / "cmp1/2026-03-02.jsonl").read_bytes()
    write(store, "cmp1", "2026-03-02", *(f"{number} " + "x" * 2000 for number in range(50)))
    archive = sent(store, copy)
    with pytest.raises(tarfile.TarError):
        copies.receive(io.BytesIO(archive[: len(archive) // 2]), copy)
    assert (copy / "cmp1/2026-03-02.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["../evil.jsonl", "/etc/passwd", "cmp1/../../2026-03-01.jsonl", "cmp1/x"])
def test_nothing_is_laid_that_no_store_has(name: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        told = tarfile.TarInfo(name)
        told.size = 1
        archive.addfile(told, io.BytesIO(b"x"))
    with pytest.raises(tarfile.TarError, match="no file of a store"):
        copies.receive(io.BytesIO(stream.getvalue()), tmp_path / "copy")
    with pytest.raises(tarfile.TarError):
        copies.receive(io.BytesIO(b""), tmp_path / "copy")


def test_the_audit_sees_a_copy_that_is_old_or_no_more_whole(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copied(store, copy)
    noted = {"time": NOON.isoformat(), "folder": str(copy), "sha256": copies.content(copy), "faults": []}
    assert log_copies.told(None, NOON) == {"taken": False}
    now = NOON + timedelta(hours=30)
    told = log_copies.told(noted, now)
    assert (told["age_hours"], told["files"], told["as_verified"], told["faults"]) == (30.0, 2, True, [])
    (copy / "cmp1/2026-03-01.jsonl").unlink()
    assert log_copies.told(noted, now)["as_verified"] is False


def test_the_audit_sees_a_copy_of_the_same_size_that_is_another(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copied(store, copy)
    noted = {"time": NOON.isoformat(), "folder": str(copy), "sha256": copies.content(copy), "faults": []}
    seals, day = copy / sealing.SEALS, copy / "cmp1/2026-03-01.jsonl"
    for path, before, after in ((day, b"two", b"TWO"), (seals, b"vault:v1", b"VAULT:v1")):
        changed(path, before, after)
        assert log_copies.told(noted, NOON)["as_verified"] is False
        changed(path, after, before)
        assert log_copies.told(noted, NOON)["as_verified"] is True
    other = day.with_name("2026-03-03.jsonl")
    day.rename(other)
    assert log_copies.told(noted, NOON)["as_verified"] is False
    other.rename(day)
    unknown = {name: value for name, value in noted.items() if name != "sha256"}
    assert log_copies.told(unknown, NOON)["as_verified"] is False
