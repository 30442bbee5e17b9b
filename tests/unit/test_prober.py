"""The client that measures gaps: what it counts as one."""

from __future__ import annotations

import pytest

from tests.lab import prober
from tests.lab.prober import Prober, Record


@pytest.mark.parametrize(
    ("calls", "gap"),
    [
        ([], 0),
        ([(0, 1, ""), (2, 9, "")], 0),
        ([(0, 1, ""), (2, 0.5, "503"), (3, 1, "")], 1),
        ([(0, 1, "503"), (2, 1, "503"), (5, 1, ""), (8, 1, "503"), (9, 1, "")], 5),
        ([(0, 1, ""), (2, 3, "503")], 3),
    ],
)
def test_a_gap_lasts_from_the_first_failure_to_the_next_call_that_is_answered(
    calls: list[tuple[float, float, str]], gap: float
) -> None:
    assert Record(calls).gap == gap


def test_a_server_that_is_away_is_told_as_often_as_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "PAUSE", 0)
    with Prober(
        {"nova": ("https://127.0.0.1:9/", None)}, "token", "/etc/ssl/certs/ca-certificates.crt"
    ) as one:
        pass
    assert one.records["nova"].failures == ["ConnectionError"] * prober.ENOUGH
    assert one.records["nova"].gap > 0
    assert "nova: 11 calls, 11 failed ['ConnectionError']" in one.table()
