"""Questions to the store, asked over SSH: a request as JSON on standard input, the answer on standard output.

``{"do": "measure"}`` tells what ``chain.judge`` wants to know;
``{"do": "extract", "ids": […], "begin": …, "end": …}`` gives a tenant's events as JSON lines;
``{"do": "count", "tenants": {name: […]}, "begin": …, "end": …}`` counts those of several tenants at once;
``{"do": "search", "text": "…"}`` gives entries that contain a text.
``{"do": "copy", "known": {name: bytes}}`` gives the store as a tar archive, without what is known already.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from socle.logs.chain import day_of
from socle.logs.events import MARKS, counted, select
from socle.logs.places import files_of, opened
from socle.logs.sealing import SEALS, measure
from socle.logs.store import read_lines


def answer(store: Path, units: Set[str], asked: dict[str, Any]) -> Iterator[str]:
    """The lines of the answer.

    Args:
        units: those whose entries are events, as ``events.event_of`` takes them.

    Raises:
        ValueError: no such question.
    """
    match asked["do"]:
        case "measure":
            yield json.dumps(asdict(measure(store)))
        case "extract":
            entries = _events(store, asked["begin"])
            for event in select(entries, units, frozenset(asked["ids"]), asked["begin"], asked["end"]):
                yield json.dumps(event)
        case "count":
            tenants = {name: frozenset(ids) for name, ids in asked["tenants"].items()}
            entries = _events(store, asked["begin"])
            yield json.dumps(counted(entries, units, tenants, asked["begin"], asked["end"]))
        case "search":
            wanted = asked["text"].encode()
            yield from (
                line.decode(errors="replace").rstrip("\n") for line in _lines(store, 0) if wanted in line
            )
        case other:
            raise ValueError(f"no question {other}")


def _events(store: Path, begin: float) -> Iterator[dict[str, Any]]:
    """Entries that may be events of APIs."""
    for line in _lines(store, begin):
        if any(mark in line for mark in MARKS):
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # not this program's business: sealing and verification tell it
            if isinstance(entry, dict):
                yield entry


def _lines(store: Path, begin: float) -> Iterator[bytes]:
    """Complete lines of files of that day and later: an entry may have come long after it was written."""
    first = f"{datetime.fromtimestamp(begin, UTC):%Y-%m-%d}"
    for path in files_of(store):
        if day_of(path.name) >= first:
            yield from (line for line in read_lines(path) if line.endswith(b"\n"))


def send(store: Path, known: Mapping[str, int], out: BinaryIO) -> None:
    """The store as a stream: its seals, then each file of which another size is known.

    Seals come before what they cover: whatever is sealed in the copy is in the copy.
    """
    try:
        with opened(store / SEALS) as stream:
            seals = stream.read()
    except FileNotFoundError:
        seals = b""
    names = [str(path.relative_to(store)) for path in files_of(store)]
    with tarfile.open(fileobj=out, mode="w|") as archive:
        told = tarfile.TarInfo(SEALS)
        told.size = len(seals)
        archive.addfile(told, io.BytesIO(seals))
        for name in names:
            try:
                stream = opened(store / name)
            except FileNotFoundError:
                continue  # packed meanwhile: the next copy has it
            with stream:
                told = tarfile.TarInfo(name)
                told.size = os.fstat(stream.fileno()).st_size
                if known.get(name) != told.size:
                    archive.addfile(told, stream)


def main() -> None:
    """Answer one question."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    asked = json.load(sys.stdin)
    if asked["do"] == "copy":
        send(Path(settings["store"]), asked["known"], sys.stdout.buffer)
        return
    for line in answer(Path(settings["store"]), frozenset(settings["events_of"]), asked):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
