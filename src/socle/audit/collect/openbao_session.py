"""What readings of OpenBao share: the auditor's session and the moment of the reading."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from socle.vault.place import Place

DAY = 86400


@dataclass(frozen=True)
class Session:
    """A logged-in auditor.

    Args:
        speaker: a client of hvac.
        now: the moment to which ages are told.
    """

    place: Place
    speaker: Any
    now: datetime

    def data(self, path: str) -> dict[str, Any]:
        """What stands at a path.

        Raises:
            KeyError: nothing does.
        """
        answer = self.speaker.read(path)
        if answer is None:
            raise KeyError(path)
        found: dict[str, Any] = answer["data"]
        return found

    def names(self, path: str) -> list[str]:
        """Names below a path, sorted; none when there is nothing."""
        answer = self.speaker.list(path)
        return sorted(answer["data"]["keys"]) if answer else []

    def age_days(self, moment: str | int) -> float:
        """Age of a time that OpenBao wrote: RFC 3339 with nanoseconds, or seconds since 1970."""
        if isinstance(moment, int):
            then = datetime.fromtimestamp(moment, UTC)
        else:
            then = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", moment))
        return round((self.now - then).total_seconds() / DAY, 2)


type Reader = Callable[[Session], Any]
