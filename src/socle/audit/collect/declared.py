"""What the roles lay on each host, rendered once in a pass on this machine, and how a host differs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any, Final, NamedTuple

from socle.audit.collect.agent_configuration import MASK
from socle.credentials import SECOND
from socle.errors import SocleError
from socle.paths import project_root
from socle.site import Host, Site

SECONDS: Final = 120
type Files = Mapping[str, Mapping[str, Any]]
"""Path → kind, owner, group, mode, options or hash."""

_lock = Lock()
_rendered: dict[str, Mapping[str, Mapping[str, Files]]] = {}


def new_pass() -> None:
    """Forget what was rendered: the next reading renders again."""
    with _lock:
        _rendered.clear()


def of_hosts(site: Site) -> Mapping[str, Mapping[str, Files]]:
    """Host → component → the files that its role lays there.

    Raises:
        SocleError: the roles cannot be rendered with these site files.
    """
    with _lock:
        if site.name not in _rendered:
            _rendered[site.name] = _render(site)
        return _rendered[site.name]


def paths(site: Site, host: Host) -> dict[str, list[str]]:
    """The paths of a host's files by component; none when they cannot be rendered, which others tell."""
    try:
        return {component: sorted(files) for component, files in of_hosts(site)[host.name].items()}
    except SocleError:
        return {}


def _render(site: Site) -> Mapping[str, Mapping[str, Files]]:
    command = [sys.executable, "-m", "socle.audit.collect.render", str(site.folder.resolve())]
    try:
        done = subprocess.run(
            command, cwd=project_root(), capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise SocleError(f"does not end in {SECONDS} s", where="rendering of the roles") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["without a word"]
        raise SocleError(said[-1][:300], where="rendering of the roles")
    rendered: Mapping[str, Mapping[str, Files]] = json.loads(done.stdout)
    return rendered


OF_A_RING = re.compile(r"^/etc/keystone/(fernet|credential)-keys/\d+$")


class Difference(NamedTuple):
    """One thing in which a host is not as its files say."""

    component: str
    path: str
    what: str
    declared: Any
    found: Any


def differences(declared: Mapping[str, Files], found: Files) -> Iterator[Difference]:
    """What differs between the files of a host's roles and those that are there.

    Options tell more than hashes, which are compared where there are none. What hangs on a secret cannot be
    compared, and is left out; so are the keys of Keystone's rings, whose numbers grow with each rotation.
    """
    for component, files in sorted(declared.items()):
        for path, wanted in sorted(files.items()):
            if OF_A_RING.search(path):
                continue
            yield from _of_file(component, path, wanted, found.get(path, {}))


def _of_file(
    component: str, path: str, wanted: Mapping[str, Any], there: Mapping[str, Any]
) -> Iterator[Difference]:
    if not there:
        yield Difference(component, path, "lecture", "faite", "absente")
        return
    if wanted["state"] != there["state"]:
        yield Difference(component, path, "state", wanted["state"], there["state"])
        return
    for name in ("owner", "group", "mode", "target"):
        if name in wanted and wanted[name] != there.get(name):
            yield Difference(component, path, name, wanted[name], there.get(name))
    if "options" in wanted:
        yield from _of_options(component, path, wanted["options"], there.get("options", {}))
    if "sha256" in wanted and wanted["sha256"] != there.get("sha256"):
        yield Difference(component, path, "sha256", wanted["sha256"][:12], str(there.get("sha256"))[:12])


def _of_options(
    component: str, path: str, wanted: Mapping[str, Any], there: Mapping[str, Any]
) -> Iterator[Difference]:
    for name in sorted(wanted.keys() | there.keys()):
        one, other = wanted.get(name), there.get(name)
        if one != other and MASK not in (one, other) and not _in_turn(name, one, other):
            yield Difference(component, path, name, one, other)


def _in_turn(name: str, declared: Any, found: Any) -> bool:
    """Whether an option names the second of a component's two accounts, which a rotation uses in turn."""
    return name.rpartition(".")[2] == "username" and found == f"{declared}{SECOND}"
