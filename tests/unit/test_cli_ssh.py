"""`socle ssh` refuses what it cannot do before it asks anybody."""

from __future__ import annotations

import pytest

from socle.cli.app import run, shared_first


def test_nobody_is_logged_in(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAO_TOKEN", raising=False)
    assert run(["ssh", "ctl1"]) == 4
    assert "nobody is logged in to OpenBao" in capsys.readouterr().err


def test_no_such_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ssh", "ctl9"]) == 2
    assert "no node ctl9" in capsys.readouterr().err


def test_the_command_of_the_node_is_left_alone() -> None:
    assert shared_first(["ssh", "ctl1", "openstack", "--json"]) == ["ssh", "ctl1", "openstack", "--json"]
    assert shared_first(["ssh", "--json", "ctl1"]) == ["--json", "ssh", "ctl1"]
    assert shared_first(["ssh", "ctl1"]) == ["ssh", "ctl1"]
