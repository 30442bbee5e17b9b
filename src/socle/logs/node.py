"""Questions to the store, asked over SSH: a request as JSON on standard input, the answer on standard output.

``{"do": "measure"}`` tells what ``chain.judge`` wants to know;
``{"do": "extract", "ids": […], "begin": …, "end": …}`` gives a tenant's events as JSON lines;
``{"do": "search", "text": "…"}`` gives entries that contain a text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from socle.logs.events import select
from socle.logs.sealing import files_of, measure
from socle.logs.store import read_lines


def answer(store: Path, asked: dict[str, Any]) -> Iterator[str]:
    """The lines of the answer.

    Raises:
        ValueError: no such question.
    """
    match asked["do"]:
        case "measure":
            yield json.dumps(asdict(measure(store)))
        case "extract":
            entries = (json.loads(line) for line in _lines(store, asked["begin"]) if b"MESSAGE" in line)
            for event in select(entries, frozenset(asked["ids"]), asked["begin"], asked["end"]):
                yield json.dumps(event, ensure_ascii=False)
        case "search":
            wanted = asked["text"].encode()
            yield from (line.decode().rstrip("\n") for line in _lines(store, 0) if wanted in line)
        case other:
            raise ValueError(f"no question {other}")


def _lines(store: Path, begin: float) -> Iterator[bytes]:
    """Complete lines of files of that day and later: an entry may have come long after it was written."""
    first = f"{datetime.fromtimestamp(begin, UTC):%Y-%m-%d}"
    for path in files_of(store):
        if path.name.split(".")[0] >= first:
            yield from (line for line in read_lines(path) if line.endswith(b"\n"))


def main() -> None:
    """Answer one question."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for line in answer(Path(settings["store"]), json.load(sys.stdin)):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
