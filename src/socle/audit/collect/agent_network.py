"""What a host listens on, and what its firewall lets through."""

from __future__ import annotations

import json
import re
from typing import Any

from socle.audit.collect.agent import Questions, output, section

COLUMNS = 6


@section("listeners")
def listeners(_questions: Questions) -> list[dict[str, Any]]:
    """Every socket that waits for others, but those of the loopback: protocol, address, port, program."""
    found = {}
    for line in output(
        "ss", "--no-header", "--tcp", "--udp", "--listening", "--numeric", "--processes"
    ).splitlines():
        words = line.split(None, COLUMNS)
        address, _colon, port = words[4].rpartition(":")
        address = address.strip("[]").split("%")[0]
        named = re.search(r'\(\("([^"]+)"', line)
        if not address.startswith("127.") and address != "::1":
            key = (words[0], address, int(port))
            found[key] = {
                "protocol": words[0],
                "address": {"*": "0.0.0.0"}.get(address, address),  # noqa: S104 - what is read, not bound
                "port": int(port),
                "program": named[1] if named else "",
            }
    return [found[key] for key in sorted(found)]


@section("firewall")
def firewall(_questions: Questions) -> list[dict[str, Any]]:
    """The rules that the kernel has, as nftables tells them, without the elements of sets."""
    told: list[dict[str, Any]] = json.loads(output("nft", "--json", "list", "ruleset"))["nftables"]
    kept = []
    for item in told:
        (kind, body), *_rest = item.items()
        if kind in {"table", "chain", "rule"}:
            kept.append({kind: {name: value for name, value in body.items() if name != "handle"}})
    return kept
