"""The one SSH session that an audit opens on each host, and what the host answered in it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Final

import requests

from socle import catalogue, vault
from socle.audit import program
from socle.audit.collect import unread
from socle.audit.model import Fact
from socle.deploy.nodes import AT_ONCE, ssh
from socle.errors import SocleError
from socle.site import Host, Site
from socle.site.entrance import ASKING, AUDIT_ACCOUNT, AUDIT_COMMAND, reason

SECONDS: Final = 180
PERMISSION: Final = (
    f"le compte « {AUDIT_ACCOUNT} », par un certificat de dix minutes : sudo pour un seul programme, "
    "qui ne fait que lire"
)
DEPLOY_FIRST: Final = "déployer d’abord (socle deploy --only hardening)"
REFUSED: Final = ("Permission denied", "Too many authentication failures")
"""What ssh prints where the account is not there, or its certificate's authority not yet trusted."""
NOT_LAID: Final = ("command not found", "a password is required", "is not allowed to")
"""What sudo prints where its rule or the program is missing."""


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
            _answers[site.name] = _ask_all(site, site.hosts)
        return _answers[site.name]


def ask_again(site: Site, names: Collection[str], left_out: Collection[str] = ()) -> None:
    """Ask some hosts again within a pass.

    Args:
        names: of the hosts; the others' answers stay as they are.
        left_out: sections that are not asked and stay as they were answered.
    """
    before = read_hosts(site)
    again = {
        name: answer if answer.problem else HostAnswer({**before[name].sections, **answer.sections})
        for name, answer in _ask_all(site, names, left_out).items()
    }
    with _lock:
        _answers[site.name] = {**before, **again}


def questions(site: Site, host: Host, left_out: Collection[str] = ()) -> dict[str, Any]:
    """What the agent is asked on a host, without what only sections need that are left out."""
    general = {
        "host": host.name,
        "components": list(catalogue.load().of_groups(host.groups)),
        "capabilities": host.capabilities.model_dump(),
        "domain": site.domain,
    }
    chosen = {name: asked for name, asked in sorted(ASKED.items()) if name not in left_out}
    return general | {name: asked(site, host) for name, asked in chosen.items()}


def asking(site: Site, host: Host, left_out: Collection[str] = ()) -> str:
    """What a host is given on the program's standard input: data, and the digest of the program."""
    asked = questions(site, host, left_out) | {"left_out": sorted(left_out)}
    return json.dumps({"program": program.digest(), "questions": asked}, sort_keys=True)


def answered(said: str) -> HostAnswer:
    """What a host printed, as an answer; none when its program is not the one of this kit."""
    try:
        answer = json.loads(said)
    except ValueError:
        return HostAnswer(problem="la réponse de l’hôte est tronquée ou illisible")
    if not isinstance(answer, dict) or not isinstance(sections := answer.get("sections"), dict):
        return HostAnswer(problem="la réponse de l’hôte n’a pas la forme attendue")
    if answer.get("program") != program.digest():
        return HostAnswer(
            problem=f"le programme d’audit de l’hôte n’est pas celui de ce kit : {DEPLOY_FIRST}"
        )
    if not all(
        isinstance(one, dict) and len(one.keys() & {"value", "problem"}) == 1 for one in sections.values()
    ):
        return HostAnswer(problem="la réponse de l’hôte n’a pas la forme attendue")
    return HostAnswer(sections)


def _ask_all(site: Site, names: Collection[str], left_out: Collection[str] = ()) -> dict[str, HostAnswer]:
    """Some hosts at once, by one certificate that dies within minutes."""
    with TemporaryDirectory(prefix="socle-audit-") as folder:
        try:
            place = vault.place_of(site, catalogue.load())
            key = vault.audit_key(place, Path(folder))
        except (SocleError, requests.exceptions.RequestException) as error:
            todo = f" : {DEPLOY_FIRST}" if "permission denied" in str(error) else ""
            problem = f"pas de certificat pour le compte {AUDIT_ACCOUNT} ({unread.why(error)}){todo}"
            return dict.fromkeys(names, HostAnswer(problem=problem))
        with ThreadPoolExecutor(min(AT_ONCE, max(len(names), 1))) as pool:
            read = pool.map(lambda name: _ask(site, site.hosts[name], key, left_out), names)
            return dict(zip(names, read, strict=True))


def _ask(site: Site, host: Host, key: Path, left_out: Collection[str] = ()) -> HostAnswer:
    try:
        done = subprocess.run(
            [*ssh(site, host, AUDIT_ACCOUNT, key), AUDIT_COMMAND],
            input=asking(site, host, left_out),
            capture_output=True,
            encoding="utf-8",
            # A byte that is no text costs this host's answer, not those of all.
            errors="replace",
            timeout=SECONDS,
            check=False,
            # The deploying account's certificate is none of an audit's concern.
            env={**os.environ, ASKING: "1"},
        )
    except subprocess.TimeoutExpired:
        return HostAnswer(problem=f"l’hôte ne répond pas en {SECONDS} s")
    except OSError as error:
        return HostAnswer(problem=f"ssh ne part pas : {error.strerror}")
    if done.returncode == 0:
        return answered(done.stdout)
    why = reason(done.stderr, f"ssh finit par {done.returncode}")
    if any(sign in done.stderr for sign in REFUSED):
        return HostAnswer(problem=f"l’hôte n’admet pas {AUDIT_ACCOUNT} ({why}) : {DEPLOY_FIRST}")
    if any(sign in done.stderr for sign in NOT_LAID):
        return HostAnswer(problem=f"le programme d’audit n’est pas sur l’hôte ({why}) : {DEPLOY_FIRST}")
    return HostAnswer(problem=f"session impossible ou coupée : {why}")
