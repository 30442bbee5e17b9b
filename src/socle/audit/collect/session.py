"""The one SSH session that an audit opens on each host, and what the host answered in it."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any, Final

from socle import catalogue
from socle.audit.model import Fact
from socle.deploy.nodes import AT_ONCE, ssh
from socle.site import Host, Site
from socle.site.entrance import reason

SECONDS: Final = 90
PERMISSION: Final = "le compte de déploiement, par sudo, pour un seul script qui ne fait que lire"


class UnknownShape(Exception):  # noqa: N818 - it is an answer, not a failure
    """What a host answered is not of the form that is expected (in French)."""


@dataclass(frozen=True)
class HostAnswer:
    """What one host answered: sections by name, or why the session failed."""

    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str | None = None

    def fact(
        self, name: str, host: str, section: str, shape: Callable[[Any], Any] = lambda value: value
    ) -> Fact:
        """A fact of a host out of one section; ``shape`` makes its value of what the host printed."""
        said = self.sections.get(section, {"problem": f"la session n’a pas répondu à {section}"})
        problem = self.problem or said.get("problem")
        if problem:
            return Fact(name=name, subject=host, problem=problem)
        try:
            return Fact(name=name, subject=host, value=shape(said["value"]))
        except (UnknownShape, TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            why = str(error) if isinstance(error, UnknownShape) else f"{type(error).__name__} : {error}"
            return Fact(name=name, subject=host, problem=f"réponse inattendue à {section} ({why})")


type Asked = Callable[[Site, Host], Any]

ASKED: dict[str, Asked] = {}
"""What the sections must know, by the name under which ``QUESTIONS`` holds it; collectors add theirs."""

_lock = Lock()
_answers: dict[str, Mapping[str, HostAnswer]] = {}


def new_pass() -> None:
    """Forget what hosts answered: the next reading asks them again."""
    with _lock:
        _answers.clear()


def read_hosts(site: Site) -> Mapping[str, HostAnswer]:
    """What every host of a site answers, by name: asked once in a pass, whoever calls first."""
    with _lock:
        if site.name not in _answers:
            with ThreadPoolExecutor(min(AT_ONCE, max(len(site.hosts), 1))) as pool:
                read = pool.map(lambda host: _ask(site, host), site.hosts.values())
                _answers[site.name] = dict(zip(site.hosts, read, strict=True))
        return _answers[site.name]


def ask_again(site: Site, names: Collection[str], left_out: Collection[str] = ()) -> None:
    """Ask some hosts again within a pass.

    Args:
        names: of the hosts; the others' answers stay as they are.
        left_out: sections that are not asked and stay as they were answered.
    """
    before = read_hosts(site)
    with ThreadPoolExecutor(max(len(names), 1)) as pool:
        said = list(pool.map(lambda name: _ask(site, site.hosts[name], left_out), names))
    again = {
        name: answer if answer.problem else HostAnswer({**before[name].sections, **answer.sections})
        for name, answer in zip(names, said, strict=True)
    }
    with _lock:
        _answers[site.name] = {**before, **again}


def questions(site: Site, host: Host) -> dict[str, Any]:
    """What the agent is asked on a host."""
    general = {
        "host": host.name,
        "components": list(catalogue.load().of_groups(host.groups)),
        "capabilities": host.capabilities.model_dump(),
        "domain": site.domain,
    }
    return general | {name: asked(site, host) for name, asked in sorted(ASKED.items())}


def script(site: Site, host: Host, left_out: Collection[str] = ()) -> str:
    """The whole script for a host, without the sections that are left out."""
    asked = json.dumps(questions(site, host) | {"left_out": sorted(left_out)}, sort_keys=True)
    return f"{_source()}\n\nQUESTIONS = json.loads({asked!r})\nmain(QUESTIONS)\n"


def answered(said: str) -> HostAnswer:
    """What a host printed, as an answer."""
    try:
        sections = json.loads(said)
    except ValueError:
        return HostAnswer(problem="la réponse de l’hôte est tronquée ou illisible")
    if not isinstance(sections, dict) or not all(
        isinstance(one, dict) and len(one.keys() & {"value", "problem"}) == 1 for one in sections.values()
    ):
        return HostAnswer(problem="la réponse de l’hôte n’a pas la forme attendue")
    return HostAnswer(sections)


@cache
def _source() -> str:
    """The agent's files as one script: what they import of each other is already there."""
    folder = files("socle.audit.collect")
    names = sorted(path.name for path in folder.iterdir() if path.name.startswith("agent_"))
    texts = [folder.joinpath(name).read_text("utf-8") for name in ("agent.py", *names)]
    return "from __future__ import annotations\n\n" + "\n\n".join(map(_alone, texts))


def _alone(source: str) -> str:
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {
            "__future__",
            "socle",
        }:
            lines[node.lineno - 1 : node.end_lineno] = [""] * (
                (node.end_lineno or node.lineno) - node.lineno + 1
            )
    return "\n".join(lines)


def _ask(site: Site, host: Host, left_out: Collection[str] = ()) -> HostAnswer:
    remote = shlex.join(["sudo", "-n", "python3", "-"])
    try:
        done = subprocess.run(
            [*ssh(site, host), remote],
            input=script(site, host, left_out),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return HostAnswer(problem=f"l’hôte ne répond pas en {SECONDS} s")
    except OSError as error:
        return HostAnswer(problem=f"ssh ne part pas : {error.strerror}")
    if done.returncode != 0:
        why = reason(done.stderr, f"ssh finit par {done.returncode}")
        return HostAnswer(problem=f"session impossible ou coupée : {why}")
    return answered(done.stdout)
