"""Wait for what takes its time in a cloud."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def eventually[T](
    question: Callable[[], T], until: Callable[[T], object] = bool, seconds: float = 90, pause: float = 2
) -> T:
    """Ask until the answer is as wanted and no exception is raised; fail with the last answer otherwise."""
    end = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < end:
        try:
            answer = question()
            if until(answer):
                return answer
            last = answer
        except (OSError, ValueError) as error:
            last = error
        time.sleep(pause)
    pytest.fail(f"not within {seconds} s; last: {last!r}")
