"""Segments and links: ids, ends and references; what their encryption must be is in ``invariants.py``."""

from __future__ import annotations

from collections.abc import Iterator

from socle.site.document import Fault
from socle.site.parts import Part
from socle.site.segments import Segments

PAIR = 2


def segment_fault(
    segments: Part[Segments],
    index: int,
    *loc: str | int,
    what: str,
    expected: str | None = None,
    write: str | None = None,
) -> Fault:
    return segments.fault("segments", index, *loc, what=what, expected=expected, write=write)


def ids_are_unique(segments: Part[Segments]) -> Iterator[Fault]:
    """One id for each segment."""
    seen: set[str] = set()
    for index, segment in enumerate(segments.value.segments):
        if segment.id in seen:
            yield segment_fault(
                segments, index, "id", what=f"two segments are named `{segment.id}`", expected="one each"
            )
        seen.add(segment.id)


def inter_site_has_two_ends(segments: Part[Segments]) -> Iterator[Fault]:
    """A segment between sites joins exactly two, one at each."""
    for index, segment in enumerate(segments.value.segments):
        sites = [end.site for end in segment.endpoints]
        if segment.scope == "inter-site" and not (len(sites) == len(set(sites)) == PAIR):
            yield segment_fault(
                segments,
                index,
                "endpoints",
                what=f"`{segment.id}` does not join two sites",
                expected="two ends",
            )


def addresses_are_at_one_end(segments: Part[Segments]) -> Iterator[Fault]:
    """An address is at one end of one segment only."""
    seen: dict[str, str] = {}
    for index, segment in enumerate(segments.value.segments):
        for number, end in enumerate(segment.endpoints):
            owner = seen.setdefault(end.address, segment.id)
            if owner != segment.id:
                yield segment_fault(
                    segments,
                    index,
                    "endpoints",
                    number,
                    "address",
                    what=f"{end.address} is already an end of `{owner}`",
                    expected="an address for each end",
                )


def links_name_segments(segments: Part[Segments]) -> Iterator[Fault]:
    """The segment that carries a link exists."""
    known = {segment.id for segment in segments.value.segments}
    for name, link in segments.value.links.items():
        if link.segment is not None and link.segment not in known:
            yield segments.fault(
                "links",
                name,
                "segment",
                what=f"the link `{name}` is carried by `{link.segment}`, which is no segment",
                expected=f"one of {', '.join(sorted(known)) or 'none'}",
                write="describe the segment, or delete the line",
            )


CHECKS = (
    ids_are_unique,
    inter_site_has_two_ends,
    addresses_are_at_one_end,
    links_name_segments,
)
