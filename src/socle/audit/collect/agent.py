"""What the audit runs on a host: read-only, standard library only, one JSON object on standard output.

``session`` sends this file, then every ``agent_*.py`` beside it, as one script that ends with its questions.
A section is a function of the questions that returns data. It writes nothing, and returns no secret: the
values of secret options are replaced where they are read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SECONDS = 20
AT_ONCE = 4
type Questions = dict[str, Any]
type Section = Callable[[Questions], Any]

SECTIONS: dict[str, tuple[Section, str | None]] = {}


class Unread(Exception):  # noqa: N818 - it is an answer, not a failure
    """A section that cannot be read here: the reason, in French."""


def section(name: str, component: str | None = None) -> Callable[[Section], Section]:
    """Make a function a section of the answer; on the hosts of one component only, when named."""

    def named(function: Section) -> Section:
        if name in SECTIONS:
            raise ValueError(f"the section {name} is defined twice")
        SECTIONS[name] = (function, component)
        return function

    return named


def output(
    *command: str, ok: tuple[int, ...] = (0,), seconds: int = SECONDS, given: str | None = None
) -> str:
    """What a command prints, with ``given`` on its standard input.

    Raises:
        Unread: the program is not there, fails, or takes too long.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            input=given or "",
        )
    except FileNotFoundError as error:
        raise Unread(f"{command[0]} n’est pas installé") from error
    except subprocess.TimeoutExpired as error:
        raise Unread(f"{command[0]} ne répond pas en {seconds} s") from error
    if done.returncode not in ok:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unread(
            f"{command[0]} finit par {done.returncode} : {said[-1][:200] if said else 'sans message'}"
        )
    return done.stdout


def text(path: str) -> str:
    """The content of a file.

    Raises:
        Unread: it cannot be read.
    """
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError as error:
        raise Unread(f"{path} : {error.strerror}") from error


def answer(questions: Questions) -> dict[str, Any]:
    """Every section that the host has and that is asked, each ``{"value": …}`` or ``{"problem": …}``."""
    chosen = {
        name: function
        for name, (function, component) in SECTIONS.items()
        if (component is None or component in questions["components"])
        and name not in questions.get("left_out", ())
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(chosen, pool.map(lambda one: _told(one, questions), chosen.values()), strict=True))


def _told(function: Section, questions: Questions) -> dict[str, Any]:
    try:
        return {"value": function(questions)}
    except Unread as error:
        return {"problem": str(error)}
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        # One section that fails must not cost the others; it is unread, with the place of the fault.
        place = traceback.extract_tb(error.__traceback__)[-1]
        return {
            "problem": f"lecture en échec : {type(error).__name__} : {error} ({place.name}:{place.lineno})"
        }


def main(questions: Questions) -> None:
    """Print the answers to the questions."""
    json.dump(answer(questions), sys.stdout, ensure_ascii=False, sort_keys=True)
    sys.stdout.write("\n")
