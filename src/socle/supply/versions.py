"""Versions as each ecosystem orders them, and whether one lies in the ranges of an advisory.

The evaluation of ranges follows the OSV schema, https://ossf.github.io/osv-schema/#evaluation; Go's versions
are semantic ones (https://go.dev/ref/mod#versions), Python's follow the packaging specification, Debian's
the policy (section 5.6.12).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import packaging.version
import semver

FIRST = "0"
"""The version before every other, as OSV writes it."""
_GO = re.compile(r"(?:go|v)?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:(rc|beta)(\d+))?([-+].*)?")
_DEBIAN = re.compile(r"(?:(\d+):)?([0-9A-Za-z.+~:-]+?)(?:-([0-9A-Za-z.+~]+))?")


def go(text: str) -> semver.Version:
    """A version of a Go module, with or without `v`, or of Go itself (`1.26`, `go1.26rc1`)."""
    found = _GO.fullmatch(text)
    if not found:
        raise ValueError(text)
    major, minor, patch, stage, number, rest = found.groups()
    before = f"-{stage}.{number}" if stage else ""
    return semver.Version.parse(f"{major}.{minor or 0}.{patch or 0}{before}{rest or ''}")


def debian(text: str) -> tuple[tuple[int, ...], ...]:
    """A version of a Debian package: epoch, upstream version and revision, as lists of ranks."""
    found = _DEBIAN.fullmatch(text)
    if not found:
        raise ValueError(text)
    epoch, upstream, revision = found.groups()
    return ((int(epoch or 0),), _ranks(upstream), _ranks(revision or "0"))


def _ranks(text: str) -> tuple[int, ...]:
    """Text and numbers in turn; `~` ranks below the end of a text, then letters, then all else."""
    ranks: list[int] = []
    for words, digits in re.findall(r"(\D*)(\d*)", text):
        ranks += [_rank(letter) for letter in words]
        ranks += [0, int(digits or 0)]
    return tuple(ranks)


def _rank(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256


ORDERS: dict[str, Callable[[str], Any]] = {"Go": go, "PyPI": packaging.version.Version, "Debian": debian}
"""How the versions of each ecosystem compare; `Debian:13` is ordered as `Debian`."""


def affected(ecosystem: str, version: str, told: Mapping[str, Any]) -> bool:
    """Whether a version lies in the `affected` entry of an OSV record.

    Args:
        told: `ranges`, each with a `type` and `events`, and `versions` that are named one by one.

    Raises:
        ValueError: a version that its ecosystem has no order for.
    """
    if version in told.get("versions", ()):
        return True
    return any(
        within(ecosystem, version, reach["events"])
        for reach in told.get("ranges", ())
        if reach["type"] in {"SEMVER", "ECOSYSTEM"}
    )


def within(ecosystem: str, version: str, events: Sequence[Mapping[str, str]]) -> bool:
    """Whether a version lies between the events (`introduced`, `fixed`, `last_affected`) of one range.

    Raises:
        ValueError: a version that its ecosystem has no order for.
    """
    order = ORDERS[ecosystem.partition(":")[0]]
    own = order(version)
    told = [(kind, text) for event in events for kind, text in event.items()]
    first = [kind for kind, text in told if text == FIRST]
    later = sorted(((order(text), kind) for kind, text in told if text != FIRST), key=lambda event: event[0])
    inside = "introduced" in first
    for bound, kind in later:
        if kind == "introduced" and own >= bound:
            inside = True
        elif (kind == "fixed" and own >= bound) or (kind == "last_affected" and own > bound):
            inside = False
    return inside
