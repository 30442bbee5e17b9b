"""Seals over the store of logs: whatever is done to it is found."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from socle.logs import places, sealing
from socle.logs.asking import checker
from socle.logs.chain import Head, canonical, head_of, judge, line_of, silent
from socle.logs.store import NodeLog

KEY = ec.generate_private_key(ec.SECP384R1())
OTHER = ec.generate_private_key(ec.SECP384R1())
PUBLIC = {
    "1": KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY = timedelta(minutes=15)


def signer(key: ec.EllipticCurvePrivateKey = KEY) -> Callable[[bytes], str]:
    """Signs as OpenBao's transit does."""
    return lambda text: "vault:v1:" + base64.b64encode(key.sign(text, ec.ECDSA(hashes.SHA384()))).decode()


def faults(
    store: Path, seen: Head | None = None, *, now: datetime | None = None, keep_until: str = "2025-03-01"
) -> list[str]:
    now = now or datetime(2026, 3, 2, 0, 35, tzinfo=UTC)
    return judge(
        sealing.measure(store), checker(PUBLIC), now=now, keep_until=keep_until, every=EVERY, seen=seen
    )


def write(store: Path, node: str, day: str, *texts: str) -> None:
    log = NodeLog(store / node, day=lambda: day)
    log.append({"__CURSOR": text, "MESSAGE": text} for text in texts)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two nodes, two days, four seals; the first day is closed and packed."""
    for number in range(3):
        write(tmp_path, "cmp1", "2026-03-01", *(f"{number} {n}" for n in range(5)))
        write(tmp_path, "ctl1", "2026-03-01", f"{number}")
        sealing.seal(tmp_path, signer(), NOON + number * EVERY)
    write(tmp_path, "cmp1", "2026-03-02", "next day", "and more")
    sealing.seal(tmp_path, signer(), datetime(2026, 3, 2, 0, 30, tzinfo=UTC))
    sealing.pack(tmp_path)
    return tmp_path


def seals(store: Path) -> list[str]:
    return (store / "seals.jsonl").read_text().splitlines()


def put_seals(store: Path, lines: list[str]) -> None:
    (store / "seals.jsonl").write_text("".join(f"{line}\n" for line in lines))


def unpacked(store: Path) -> Path:
    """The first day of cmp1 as plain text, as an attacker would lay it."""
    packed = store / "cmp1/2026-03-01.jsonl.gz"
    plain = packed.with_suffix("")
    plain.write_bytes(b"".join(places.unpacked(packed)))
    packed.unlink()
    return plain


def test_what_was_sealed_is_well(store: Path) -> None:
    assert (store / "cmp1/2026-03-01.jsonl.gz").exists()
    assert faults(store) == []
    unpacked(store)
    assert faults(store) == []


def test_an_edited_line_is_found(store: Path) -> None:
    path = unpacked(store)
    path.write_text(path.read_text().replace('"1 3"', '"9 9"'))
    assert [fault for fault in faults(store) if "cmp1/2026-03-01.jsonl: bytes" in fault]


def test_a_dropped_line_is_found(store: Path) -> None:
    path = unpacked(store)
    path.write_text(
        "".join(path.read_text().splitlines(keepends=True)[:2] + path.read_text().splitlines(True)[3:])
    )
    assert faults(store)


def test_lines_in_another_order_are_found(store: Path) -> None:
    path = unpacked(store)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[1], lines[0], *lines[2:]]))
    assert faults(store)


def test_a_file_that_was_cut_off_is_found(store: Path) -> None:
    path = store / "cmp1/2026-03-02.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert any("are sealed" in fault for fault in faults(store))


def test_a_packed_file_that_was_damaged_is_found(store: Path) -> None:
    path = store / "ctl1/2026-03-01.jsonl.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.chmod(0o600)
    path.write_bytes(content)
    assert any("ctl1/2026-03-01" in fault for fault in faults(store))


def test_a_dropped_file_is_found_until_its_time_is_over(store: Path) -> None:
    (store / "ctl1/2026-03-01.jsonl.gz").unlink()
    assert faults(store) == ["ctl1/2026-03-01.jsonl: is gone"]
    assert faults(store, keep_until="2026-03-02") == []


def test_swapped_files_are_found(store: Path) -> None:
    one, two = store / "cmp1/2026-03-01.jsonl.gz", store / "ctl1/2026-03-01.jsonl.gz"
    content = one.read_bytes()
    one.unlink()
    one.write_bytes(two.read_bytes())
    two.unlink()
    two.write_bytes(content)
    assert faults(store)


def test_lines_added_to_a_closed_day_are_found(store: Path) -> None:
    with unpacked(store).open("a") as stream:
        stream.write('{"node":"cmp1","MESSAGE":"was always here"}\n')
    sealing.seal(store, signer(), datetime(2026, 3, 2, 0, 34, tzinfo=UTC))
    assert any("were added behind its last seal" in fault for fault in faults(store))


@pytest.mark.parametrize("number", range(4))
def test_a_dropped_seal_is_found(store: Path, number: int) -> None:
    lines = seals(store)
    head = head_of(lines)
    put_seals(store, lines[:number] + lines[number + 1 :])
    assert faults(store, head)


def test_seals_in_another_order_are_found(store: Path) -> None:
    lines = seals(store)
    put_seals(store, [lines[1], lines[0], *lines[2:]])
    assert faults(store)


def test_an_edited_seal_is_found(store: Path) -> None:
    lines = seals(store)
    put_seals(store, [*lines[:-1], lines[-1].replace("2026-03-02T00:30:00Z", "2026-03-02T00:31:00Z")])
    assert faults(store) == ["seal 4: its signature is wrong"]


def test_seals_of_another_key_are_found(store: Path) -> None:
    path = unpacked(store)
    path.write_text(path.read_text().replace('"1 3"', '"9 9"'))
    (store / "seals.jsonl").unlink()
    sealing.seal(store, signer(OTHER), datetime(2026, 3, 2, 0, 30, tzinfo=UTC))
    assert faults(store) == ["seal 1: its signature is wrong"]


def test_a_history_sealed_anew_with_the_right_key_is_found(store: Path) -> None:
    head = head_of(seals(store))
    path = unpacked(store)
    path.write_text(path.read_text().replace('"1 3"', '"9 9"'))
    (store / "seals.jsonl").unlink()
    for _ in range(5):
        sealing.seal(store, signer(), datetime(2026, 3, 2, 0, 30, tzinfo=UTC))
    assert faults(store) == []
    assert faults(store, head) == ["seal 4: is another one than at the last verification"]


def test_an_unreadable_seal_is_told_and_stops_sealing(store: Path) -> None:
    lines = seals(store)
    put_seals(store, [lines[0], "{", *lines[2:]])
    assert faults(store) == ["seal 2: is not readable; nothing behind it can be trusted"]
    with pytest.raises(sealing.SealingError, match="seal 2"):
        sealing.seal(store, signer(), NOON)


def test_seals_that_stopped_coming_are_found(store: Path) -> None:
    late = datetime(2026, 3, 2, 4, tzinfo=UTC)
    assert faults(store, now=late) == ["nothing was sealed since 2026-03-02T00:30:00Z"]


def test_a_seal_that_a_kill_cut_off_is_made_anew(store: Path) -> None:
    lines = seals(store)
    (store / "seals.jsonl").write_text("".join(f"{line}\n" for line in lines[:-1]) + lines[-1][:40])
    sealing.seal(store, signer(), datetime(2026, 3, 2, 0, 30, tzinfo=UTC))
    assert len(seals(store)) == 4
    assert faults(store) == []


def test_a_line_that_is_being_written_waits_for_the_next_seal(tmp_path: Path) -> None:
    write(tmp_path, "cmp1", "2026-03-02", "whole")
    with (tmp_path / "cmp1/2026-03-02.jsonl").open("a") as stream:
        stream.write('{"half')
    now = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
    assert sealing.seal(tmp_path, signer(), now) > 0
    with (tmp_path / "cmp1/2026-03-02.jsonl").open("a") as stream:
        stream.write('":1}\n')
    assert sealing.seal(tmp_path, signer(), now) == len('{"half":1}\n')
    assert faults(tmp_path) == []


def test_a_refused_signature_seals_nothing(tmp_path: Path) -> None:
    write(tmp_path, "cmp1", "2026-03-02", "whole")

    def refuse(_text: bytes) -> str:
        raise sealing.SealingError("OpenBao signs nothing")

    with pytest.raises(sealing.SealingError):
        sealing.seal(tmp_path, refuse, NOON)
    assert not (tmp_path / "seals.jsonl").exists()


def test_days_whose_time_is_over_go_and_their_seals_stay(store: Path) -> None:
    now = datetime(2027, 3, 2, 0, 30, tzinfo=UTC)
    assert sealing.expire(store, 12, now) == ["cmp1/2026-03-01.jsonl", "ctl1/2026-03-01.jsonl"]
    assert len(seals(store)) == 4
    assert faults(store, keep_until=sealing.oldest(12, now)) == []


@pytest.mark.parametrize(
    ("months", "now", "day"),
    [(12, "2026-03-31", "2025-03-28"), (1, "2026-01-15", "2025-12-15"), (13, "2026-01-01", "2024-12-01")],
)
def test_the_oldest_day_to_keep(months: int, now: str, day: str) -> None:
    assert sealing.oldest(months, datetime.fromisoformat(now)) == day


def test_nodes_that_fell_silent_are_told(store: Path) -> None:
    heard = sealing.measure(store).heard
    now = datetime.fromtimestamp(max(heard.values()), UTC)
    assert silent(heard, ["cmp1", "ctl1"], now) == []
    assert silent(heard, ["cmp2"], now) == ["cmp2: was never heard"]
    assert len(silent(heard, ["cmp1", "ctl1"], now + timedelta(hours=25))) == 2


def test_signed_is_everything_but_the_signature(store: Path) -> None:
    seal = json.loads(seals(store)[0])
    assert line_of(seal) == seals(store)[0]
    assert b"signature" not in canonical(seal)
    assert json.loads(canonical(seal)) == {name: seal[name] for name in seal if name != "signature"}
