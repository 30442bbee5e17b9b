"""What an image of the storage cluster holds, read below all encryption: runs on a host, as root.

Only the standard library: the audit sends this file through SSH and appends the call.
"""

from __future__ import annotations

import subprocess
from typing import Any

HEAD = 112
BLOCK = 1 << 20


def look(account: str, image: str, marker: str) -> dict[str, Any]:
    """The first bytes of an image, how often a marker is in it, and how long it is.

    Args:
        account: of the storage cluster, whose key is on this host.
        image: ``<pool>/<name>``.
    """
    words = ["rbd", "--id", account, "export", "--no-progress", image, "-"]
    wanted = marker.encode("ascii")
    head, tail, count, size = b"", b"", 0, 0
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as export:
        assert export.stdout is not None  # noqa: S101 - for types: it is a pipe
        while block := export.stdout.read(BLOCK):
            head = (head + block)[:HEAD] if len(head) < HEAD else head
            size += len(block)
            joined = tail + block
            count += joined.count(wanted)
            tail = joined[-(len(wanted) - 1) :]
    return {"status": export.returncode, "head": head.hex(), "marker": count, "bytes": size}
