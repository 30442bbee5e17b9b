"""Every command in guides and remedies is one that exists, with its options, and deploys something."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from socle import catalogue, cli
from socle.cli.app import app
from socle.paths import project_root
from socle.site import load

ROOT = project_root()
TEXTS = sorted(
    path
    for folder, pattern in (
        (ROOT, "*.md"),
        (ROOT / "docs", "**/*.md"),
        (ROOT / "policies", "**/*.yaml"),
        (ROOT / "inventories", "**/*.yml"),
    )
    for path in folder.glob(pattern)
)
IN_LINE = re.compile(r"[`«]\s?socle ([a-z-][^`»]*)[`»]")
IN_A_BLOCK = re.compile(r"^\s*(?:export \w+=\$\()?socle ([a-z-][^#>|)\n]*)", re.MULTILINE)
FREE = {"ssh", "shell"}
"""Commands behind whose node stand words of another program."""
STAND_INS = {"NODE"}
"""What a guide writes where a reader puts a name of their own."""


def commands(path: Path) -> Iterator[str]:
    """What stands behind ``socle`` in a text: in backquotes, in French quotation marks, in blocks."""
    text = path.read_text("utf-8")
    for found in IN_LINE.findall(text):
        yield " ".join(found.split())
    if path.suffix == ".md":
        for found in IN_A_BLOCK.findall(text):
            yield " ".join(found.split())


@cache
def root_command() -> Any:
    for module in pkgutil.iter_modules(cli.__path__):
        importlib.import_module(f"socle.cli.{module.name}")
    return get_command(app)


def fault(line: str) -> str | None:
    """What the command line would refuse of a command and its options."""
    command, words = (
        root_command(),
        [word for word in re.sub("<[^>]*>", "X", line).split() if word not in {"…", "|"}],
    )
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            known = {
                name: option for option in command.params for name in (*option.opts, *option.secondary_opts)
            }
            option = known.get(word.partition("=")[0])
            if option is None and word != "--help":
                return f"no option {word}"
            if option is not None and not option.is_flag and "=" not in word:
                words[:1] = []
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return f"no command {word}"
            command = command.commands[word]
        elif command.name in FREE:
            return None
    return None


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_in_a_text_is_one(path: Path) -> None:
    told = {f"socle {line}": fault(line) for line in commands(path)}
    assert not {line: why for line, why in told.items() if why}


@cache
def deployable() -> frozenset[str]:
    """What ``--only`` takes: components, hosts and tenants of the sites that are shipped."""
    sites = [load(ROOT / "inventories" / name) for name in ("lab", "modele-gip")]
    return frozenset(catalogue.load().components).union(*({*site.hosts, *site.tenants} for site in sites))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_text_deploys_alone_is_a_role_a_node_or_a_tenant(path: Path) -> None:
    named = set(re.findall(r"--only\s+([\w.-]+)", path.read_text("utf-8")))
    assert named <= deployable() | STAND_INS
