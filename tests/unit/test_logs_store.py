"""The store of logs: what nodes upload is kept whole, once, and on disk before they hear of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from socle.logs.export import ChunkedBody, MalformedError, entries
from socle.logs.store import NodeLog


def exported(*numbers: int) -> bytes:
    """Entries as journalctl -o export writes them."""
    return b"".join(
        f"__CURSOR=s=1;i={n:x}\n__REALTIME_TIMESTAMP={n}\n_CAP_EFFECTIVE=0\nMESSAGE=number {n}\n\n".encode()
        for n in numbers
    )


def given(log: NodeLog, *numbers: int) -> int:
    return log.append(entries(io.BytesIO(exported(*numbers))))


def kept(folder: Path) -> list[str]:
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line)["MESSAGE"] for line in lines]


def test_binary_and_repeated_fields_are_kept() -> None:
    binary = b"two\nlines\xff"
    text = b"A=1\nA=2\nB\n" + len(binary).to_bytes(8, "little") + binary + b"\nMESSAGE=\xc3\xa9=x\n\n"
    assert list(entries(io.BytesIO(text))) == [{"A": ["1", "2"], "B": list(binary), "MESSAGE": "é=x"}]


@pytest.mark.parametrize("text", [b"A=1\n", b"A=1", b"A\n\x05\0\0\0\0\0\0\0ab", b"=1\n\n", b"A B=1\n\n"])
def test_what_is_cut_off_or_no_export_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        list(entries(io.BytesIO(text)))


def test_chunks_become_one_stream() -> None:
    body = exported(1, 2)
    sent = (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:8], body[8:]))
        + b"0\r\n\r\nGET"
    )
    connection = io.BufferedReader(io.BytesIO(sent))  # type: ignore[arg-type]
    assert len(list(entries(io.BufferedReader(ChunkedBody(connection))))) == 2
    assert connection.read() == b"GET"


def test_a_body_that_breaks_off_between_entries_is_no_complete_upload() -> None:
    body = exported(1)
    sent = io.BufferedReader(io.BytesIO(b"%x\r\n%s\r\n" % (len(body), body)))  # type: ignore[arg-type]
    with pytest.raises(MalformedError, match="broke off"):
        list(entries(io.BufferedReader(ChunkedBody(sent))))


def test_what_comes_again_is_written_once(tmp_path: Path) -> None:
    log = NodeLog(tmp_path / "cmp1")
    given(log, 1, 2)
    assert given(log, 1, 2, 3) == 1
    log.acknowledge()
    assert given(log, 3) == 0
    assert log.repeated == 3
    assert kept(tmp_path / "cmp1") == ["number 1", "number 2", "number 3"]


def test_a_receiver_that_starts_again_knows_what_it_has(tmp_path: Path) -> None:
    log = NodeLog(tmp_path / "cmp1", day=lambda: "2026-03-01")
    given(log, 1)
    log.acknowledge()
    given(log, 2, 3)  # its answer was lost
    log.acknowledge()
    given(log, 4)  # killed before the end of the upload
    again = NodeLog(tmp_path / "cmp1", day=lambda: "2026-03-02")
    assert given(again, 2, 3, 4, 5) == 1
    assert kept(tmp_path / "cmp1") == [f"number {n}" for n in range(1, 6)]


def test_a_line_that_a_kill_cut_off_is_written_anew(tmp_path: Path) -> None:
    given(NodeLog(tmp_path / "cmp1", day=lambda: "2026-03-01"), 1)
    with (tmp_path / "cmp1/2026-03-01.jsonl").open("a") as stream:
        stream.write('{"node":"cmp1","__CURSOR":"s=1;i=2","MESS')
    given(NodeLog(tmp_path / "cmp1", day=lambda: "2026-03-01"), 1, 2)
    assert kept(tmp_path / "cmp1") == ["number 1", "number 2"]


def test_what_could_not_be_written_is_taken_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = NodeLog(tmp_path / "cmp1")
    with monkeypatch.context() as full:

        def no_room(_path: Path, _data: bytes) -> None:
            raise OSError(28, "No space left on device")

        full.setattr("socle.logs.store._append", no_room)
        with pytest.raises(OSError, match="No space"):
            given(log, 1)
    assert given(log, 1) == 1
    assert kept(tmp_path / "cmp1") == ["number 1"]


def test_entries_without_a_cursor_are_all_kept(tmp_path: Path) -> None:
    log = NodeLog(tmp_path / "cmp1")
    for _ in range(2):
        log.append([{"MESSAGE": "same"}, {"MESSAGE": "same"}])
    assert kept(tmp_path / "cmp1") == ["same"] * 4


def test_the_name_of_the_node_is_not_what_it_says(tmp_path: Path) -> None:
    NodeLog(tmp_path / "cmp1").append([{"node": "ctl1", "MESSAGE": "forged"}])
    (line,) = next((tmp_path / "cmp1").glob("*.jsonl")).read_text().splitlines()
    assert json.loads(line, object_pairs_hook=list)[0] == ("node", "cmp1")
    assert json.loads(line)["node"] == "cmp1"
