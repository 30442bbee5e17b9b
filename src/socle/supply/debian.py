"""A local copy of Debian's security tracker: https://security-tracker.debian.org/tracker/data/json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from socle.errors import ExitCode, SocleError
from socle.supply.osv import Packaged, Record

CODENAMES = {"13": "trixie"}
NEVER = "0"
"""What the tracker writes as the fixed version where a release never had the vulnerability."""


def read(file: Path, wanted: Iterable[Packaged]) -> list[Record]:
    """What the tracker tells of the source packages on a node, in the form of OSV records.

    Vulnerabilities that Debian holds to be unimportant or could not tell of are left out, as debsecan does.

    Raises:
        SocleError: no such file (exit code 4), or it is not the tracker's.
    """
    if not file.is_file():
        raise SocleError(
            "no copy of Debian's tracker",
            where=str(file),
            expected="the tracker's JSON",
            write="mirror it: docs/operator/vulnerabilities.md",
            exit_code=ExitCode.PREREQUISITE,
        )
    keys = {(one.name, one.ecosystem) for one in wanted if one.ecosystem.startswith("Debian:")}
    try:
        told = json.loads(file.read_bytes())
        found = [
            record
            for name, ecosystem in sorted(keys)
            for id_, entry in sorted(told.get(name, {}).items())
            if (record := _record(id_, ecosystem, name, entry)) is not None
        ]
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise SocleError(
            "is not the JSON of Debian's tracker", where=str(file), write="fetch it again"
        ) from error
    return found


def _record(id_: str, ecosystem: str, package: str, entry: dict[str, Any]) -> Record | None:
    release = ecosystem.partition(":")[2]
    told = entry["releases"].get(CODENAMES.get(release, release))
    if told is None or told["status"] == "undetermined" or told["urgency"] == "unimportant":
        return None
    fixed = told.get("fixed_version") if told["status"] == "resolved" else None
    if fixed == NEVER:
        return None
    events = [{"introduced": "0"}, *([{"fixed": str(fixed)}] if fixed else [])]
    return Record(
        id_, (), ecosystem, package, {"ranges": [{"type": "ECOSYSTEM", "events": events}], "debian": told}
    )
