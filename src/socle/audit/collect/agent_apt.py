"""Where a host's packages come from, as apt reads its files (sources.list(5), apt.conf(5))."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from socle.audit.collect.agent import Questions, output, section, text

APT_FALSE = re.compile(r"no|false|without|off|disable|[+-]?(0x)?0+", re.IGNORECASE)
"""What apt takes for “no”; whatever else is taken for “yes” here, though apt may keep its default."""
APT_UNSIGNED = frozenset({"trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure"})
APT_WEAK = frozenset({
    "apt::get::allowunauthenticated",
    "acquire::allowinsecurerepositories",
    "acquire::allowweakrepositories",
    "acquire::allowdowngradetoinsecurerepositories",
})  # fmt: skip
"""Settings that let unsigned packages in."""
APT_ENTRY = re.compile(r"\s*(\S+)\s+(?:\[([^]]*)\]\s*)?(.*)")


@section("apt")
def apt(_questions: Questions) -> dict[str, Any]:
    """Where packages come from, signed by which keys, and settings that would let unsigned ones in.

    What cannot be read as a source is one of no address.
    """
    settings = [line.split(" ", 1) for line in output("apt-config", "dump").splitlines() if " " in line]
    return {
        "sources": [one for path in _apt_files() for one in apt_sources(str(path))],
        "insecure": sorted(
            name
            for name, value in settings
            if name.lower() in APT_WEAK and not APT_FALSE.fullmatch(value.rstrip(";").strip('"'))
        ),
    }


def _apt_files() -> list[Path]:
    """The files that apt reads, wherever its settings put them."""
    asked = ("LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d")
    named = dict(word.split("=", 1) for word in shlex.split(output("apt-config", "shell", *asked)))
    found = [Path(named["LIST"]), *sorted(Path(named["PARTS"]).glob("*"))]
    return [path for path in found if path.is_file() and path.suffix in {".list", ".sources"}]


def apt_sources(path: str) -> list[dict[str, Any]]:
    """The sources of one file that are not turned off, one for each address."""
    body = text(path)
    if path.endswith(".list"):
        lines = [line for line in body.split("\n") if line.strip() and not line.lstrip().startswith("#")]
        return [_apt_line(path, line) for line in lines]
    lines = [line for line in body.split("\n") if not line.startswith("#")]
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    return [one for block in blocks if block.strip() for one in _apt_block(path, block)]


def _apt_line(path: str, line: str) -> dict[str, Any]:
    entry = APT_ENTRY.fullmatch(line)
    kind, options, rest = (entry[1], entry[2] or "", entry[3].split()) if entry else ("", "", [])
    pairs = [re.split(r"[+-]?=", word, maxsplit=1) for word in options.split()]
    fields = {pair[0].lower(): pair[-1] for pair in pairs}
    return {
        "file": path,
        "types": kind,
        "uri": rest[0] if rest else "",
        "trusted": any(
            pair[0].lower() in APT_UNSIGNED and not APT_FALSE.fullmatch(pair[-1]) for pair in pairs
        ),
        "signed_by": fields.get("signed-by", ""),
        "suites": " ".join(rest[1:2]),
    }


def _apt_block(path: str, block: str) -> list[dict[str, Any]]:
    """Sources of one block of fields; a line that begins with a blank goes on with the field before it."""
    fields: dict[str, list[str]] = {}
    name = ""
    for line in block.split("\n"):
        if not line[:1].isspace():
            name, _colon, line = line.partition(":")  # noqa: PLW2901
        fields.setdefault(name.strip().lower(), []).append(line.strip())
    named = {field: " ".join(values).strip() for field, values in fields.items()}
    if APT_FALSE.fullmatch(named.get("enabled", "yes")):
        return []
    return [
        {
            "file": path,
            "types": named.get("types", ""),
            "uri": uri,
            "trusted": any(not APT_FALSE.fullmatch(named.get(field, "no")) for field in APT_UNSIGNED),
            "signed_by": named.get("signed-by", ""),
            "suites": named.get("suites", ""),
        }
        for uri in named.get("uris", "").split() or [""]
    ]
