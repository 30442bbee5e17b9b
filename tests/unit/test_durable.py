"""Files of the state folder: whole, of mode 0600, and nothing left beside them."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from socle import durable
from socle.errors import SocleError


def test_several_who_write_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    values = [{"text": str(number) * 20_000} for number in range(40)]
    with ThreadPoolExecutor(8) as several:
        list(several.map(lambda value: durable.write_json(path, value), values))
    assert durable.read_json(path) in values
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    durable.write(path, "before")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SocleError, match="No space left"):
        durable.write(path, "after")
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert path.read_text("utf-8") == "before"
    with pytest.raises(SocleError, match="cannot be written"):
        durable.write(tmp_path / "nowhere/state.json", "x")


def test_what_kills_left_goes_after_a_day(tmp_path: Path) -> None:
    old, new, other = (
        tmp_path / name for name in (".state.json.a.new", ".state.json.b.new", "state.json.new")
    )
    for path in (old, new, other):
        path.write_text("draft", "utf-8")
    for path in (old, other):
        os.utime(path, (time.time() - 90_000,) * 2)
    durable.write(tmp_path / "state.json", "x")
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        ".state.json.b.new",
        "state.json",
        "state.json.new",
    ]
