"""The rules of hardening, read by the commands that the kit checks them with, and the report about them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from socle.audit.collect.agent import Questions, Unread, output, section, text

REPORT = "/etc/socle/hardening.json"
COMMAND_SECONDS = 150
PARAMETERS = "sysctl "
KNOWN_COMMANDS = "/usr/local/libexec/socle-audit.json"
"""Commands of the rules that the deployment laid here; no other is run, whoever asks."""


@section("hardening")
def hardening(questions: Questions) -> list[dict[str, str]]:
    """What the command of each rule prints, in the order of the questions; one that cannot run says why."""
    known = set(json.loads(text(KNOWN_COMMANDS)))
    unknown = {"problem": "commande que le déploiement n’a pas laissée sur l’hôte : déployer d’abord"}
    said = all_printed([command for command in questions["hardening"] if command in known])
    return [said.get(command, unknown) for command in questions["hardening"]]


def all_printed(commands: list[str]) -> dict[str, dict[str, str]]:
    """What each command prints; rules share commands, so each runs once."""
    return {command: _printed(command) for command in dict.fromkeys(commands)}


def _printed(command: str) -> dict[str, str]:
    if command.startswith(PARAMETERS):
        return {"text": _parameters(shlex.split(command)[1:])}
    # A check that finds nothing may end by another status than 0; what it printed is judged.
    try:
        return {"text": output("/bin/sh", "-c", command, ok=tuple(range(126)), seconds=COMMAND_SECONDS)}
    except Unread as error:
        return {"problem": str(error)}


def _parameters(names: list[str]) -> str:
    """What ``sysctl`` prints; some parameters show only to who may mount, as no program started here may."""
    found = []
    for name in names:
        try:
            value = Path("/proc/sys", *name.split(".")).read_text("ascii")
        except OSError:
            continue  # as sysctl does: what is not printed is judged as not set
        found.append(f"{name} = {' '.join(value.split())}\n")
    return "".join(found)


@section("hardening_report")
def hardening_report(_questions: Questions) -> dict[str, Any]:
    """What the host's own report says, by the numbers of the rules."""
    said = json.loads(text(REPORT))
    return {
        "guide": said["guide"],
        "held": sorted({number for rule in said["held"] for number in rule["rules"]}),
        "not_evaluated": sorted({number for rule in said["not_evaluated"] for number in rule["rules"]}),
        "deviations": sorted({number for rule in said["deviations"] for number in rule["rules"]}),
        "unexplained": sorted(
            number
            for kind in ("not_evaluated", "deviations")
            for rule in said[kind]
            if not rule.get("reason")
            for number in rule["rules"]
        ),
    }
