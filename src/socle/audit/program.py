"""The program that answers an audit on a host: one file made of the agent's, and what of it may be asked.

The role ``hardening`` lays it, owned by root; the account ``socle-audit`` may run it by sudo, without
arguments, and nothing else. It takes questions as JSON on its standard input and never code: a command of a
rule is run when the deployment laid it beside the program (``COMMANDS``), and else refused.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from socle.site.entrance import AUDIT_PROGRAM

COMMANDS: Final = f"{AUDIT_PROGRAM}.json"
"""The commands of the rules of hardening that the program runs on this host."""
HEAD: Final = """\
#!/usr/bin/python3 -I
# Laid by the role `hardening`: a change here is undone, and an audit refuses it.
"""


@cache
def text() -> str:
    """The program, the same on every host of this version of the kit."""
    return f"{HEAD}{source()}\n\nserve(sys.argv[1:])\n"


def digest() -> str:
    """SHA-256 of the program in hexadecimal: what a host must answer with."""
    return hashlib.sha256(text().encode()).hexdigest()


def commands(known: Sequence[str]) -> str:
    """The file ``COMMANDS``: what may be asked by the rules of hardening."""
    return json.dumps(sorted(set(known)), indent=1, ensure_ascii=False) + "\n"


def files(known: Sequence[str]) -> list[dict[str, Any]]:
    """Entries of a role's bundle: the program, and its commands.

    Args:
        known: the commands of the host's rules.
    """
    return [
        {"path": str(Path(AUDIT_PROGRAM).parent), "state": "directory"},
        {"path": AUDIT_PROGRAM, "mode": "0755", "content": text()},
        {"path": COMMANDS, "content": commands(known)},
    ]


@cache
def source() -> str:
    """The agent's files as one script: what they import of each other is already there."""
    folder = Path(__file__).with_name("collect")
    paths = [folder / "agent.py", *sorted(folder.glob("agent_*.py"))]
    texts = [_alone(path.read_text("utf-8")) for path in paths]
    return "from __future__ import annotations\n\n" + "\n\n".join(texts)


def _alone(code: str) -> str:
    lines = code.splitlines()
    for node in ast.parse(code).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {
            "__future__",
            "socle",
        }:
            lines[node.lineno - 1 : node.end_lineno] = [""] * (
                (node.end_lineno or node.lineno) - node.lineno + 1
            )
    return "\n".join(lines)
