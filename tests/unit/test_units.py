"""Which units a reload brings up to date, and which must be restarted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_identity import load


class Systemd:
    """Keeps what is done."""

    def __init__(self) -> None:
        self.done: list[tuple[str, list[str]]] = []


@pytest.fixture
def drop_in(tmp_path: Path) -> Path:
    file = tmp_path / "socle.conf"
    file.touch()
    os.utime(file, (1000, 1000))
    return file


@pytest.mark.parametrize(
    ("changed", "verb"),
    [
        ({}, "reload"),
        ({"CanReload": "no"}, "restart"),
        ({"ActiveState": "inactive"}, "restart"),
        ({"ExecMainStartTimestamp": "@999"}, "restart"),
        ({"ExecMainStartTimestamp": "@1000"}, "restart"),
        ({"ExecMainStartTimestamp": ""}, "restart"),
    ],
)
def test_a_unit_is_reloaded_unless_only_a_restart_brings_it_up_to_date(
    drop_in: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], verb: str
) -> None:
    module: Any = load("plugins/modules/units.py")
    systemd = Systemd()
    monkeypatch.setattr(module, "again", lambda _s, verb, units, _states: systemd.done.append((verb, units)))
    monkeypatch.setattr(module, "must_exist", lambda *_given: None)
    state = {
        "ActiveState": "active",
        "CanReload": "yes",
        "ExecMainStartTimestamp": "@1001",
        "FragmentPath": "",
        "DropInPaths": str(drop_in),
    }
    module.renew(systemd, ["api.service"], {"api.service": {**state, **changed}})
    assert [done for done, units in systemd.done if units] == [verb]
