"""The search for leaked secrets finds them as they are and in Base64, whatever stands beside them."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.lab.leaks import in_files, in_git, new_files, spellings


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_a_value_is_found_in_any_text_in_base64(before: bytes, after: bytes) -> None:
    value = secrets.token_urlsafe(24)
    text = base64.b64encode(before + value.encode() + after).decode()
    assert any(spelling in text for spelling in spellings([value]))
    other = base64.b64encode(before + secrets.token_bytes(32) + after).decode()
    assert not any(spelling in other for spelling in spellings([value]))


def test_files_are_told_by_their_place(tmp_path: Path) -> None:
    value = secrets.token_urlsafe(24)
    for name, content in {"a/hit": f"x={value}", "a/no": "x", "vault/own": value}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    coded = tmp_path / "a" / "coded"
    coded.write_bytes(b"\0\xff" + base64.b64encode(f"..{value}".encode()))
    found = in_files(spellings([value]), [tmp_path], besides=["vault"])
    assert sorted(found) == [str(coded), str(tmp_path / "a" / "hit")]


def test_files_with_odd_names_are_searched(tmp_path: Path) -> None:
    value = secrets.token_urlsafe(24)
    odd = sorted(tmp_path / name for name in ("line\nbreak", "return\r", os.fsdecode(b"byte\xff"), " space"))
    for path in odd:
        path.write_text(value)
    assert sorted(new_files([tmp_path], minutes=5)) == odd
    assert sorted(in_files([value], odd)) == [str(path) for path in odd]
    assert sorted(in_files([value], [tmp_path])) == [str(path) for path in odd]


def test_files_of_another_day_are_not_new(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text("")
    os.utime(path, (0, 0))
    assert new_files([tmp_path], minutes=5) == []


def test_objects_of_git_that_no_commit_names_are_searched(tmp_path: Path) -> None:
    value = secrets.token_urlsafe(24)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    for content in (f"{value}\n", "nothing\n"):
        command = ["git", "-C", str(tmp_path), "hash-object", "-w", "--stdin"]
        subprocess.run(command, input=content, text=True, check=True, capture_output=True)
    assert in_git(spellings([value]), tmp_path) == 1
    assert in_git(spellings([secrets.token_urlsafe(24)]), tmp_path) == 0
