"""The site's shared names in this machine's ``/etc/hosts`` while the lab is up: no DNS server knows them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

HOSTS = Path("/etc/hosts")


def publish(lab: str, names: Iterable[tuple[str, str]], hosts: Path = HOSTS) -> None:
    """Write the names between two marks, in place of what an earlier call wrote.

    Args:
        names: address and name.
    """
    begin, end = _marks(lab)
    block = [begin, *(f"{address} {name}" for address, name in names), end]
    _replace(hosts, [*_without(lab, hosts), *block])


def withdraw(lab: str, hosts: Path = HOSTS) -> None:
    """Remove the names."""
    lines = hosts.read_text(encoding="utf-8").splitlines()
    kept = _without(lab, hosts)
    if kept != lines:
        _replace(hosts, kept)


def _marks(lab: str) -> tuple[str, str]:
    return f"# socle lab {lab}: begin", f"# socle lab {lab}: end"


def _without(lab: str, hosts: Path) -> list[str]:
    begin, end = _marks(lab)
    kept, inside = [], False
    for line in hosts.read_text(encoding="utf-8").splitlines():
        if line == begin:
            inside = True
        if not inside:
            kept.append(line)
        if line == end:
            inside = False
    return kept


def _replace(hosts: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if hosts.read_text(encoding="utf-8") != text:
        hosts.write_text(text, encoding="utf-8")
