"""Services on a host: their configuration as it lies there, who owns it, and what could override it."""

from __future__ import annotations

import grp
import hashlib
import os
import posixpath
import pwd
import stat
from pathlib import Path
from typing import Any

from socle.audit.collect.agent import Questions, Unread, output, section
from socle.audit.collect.agent_configuration import options_of

OVERRIDES = (
    "/etc/{name}/{name}.conf.d/*",
    "/etc/{name}/policy.*",
    "/etc/{name}/policy.d/*",
    "/etc/{name}/dashboard.d/*",
)
"""Where a service of OpenStack reads more than its own file."""
MORE_OVERRIDES = (
    "/etc/mysql/my.cnf",
    "/etc/mysql/*.d/*.cnf",
    "/etc/rabbitmq/*.config",
    "/etc/rabbitmq/conf.d/*",
    "/etc/haproxy/conf.d/*",
    "/etc/openstack-dashboard/local_settings.d/*.py",
    "/etc/openstack-dashboard/enabled/*.py",
    "/etc/apache2/sites-enabled/*",
    "/etc/ceph/*.conf",
)

LAID_BELOW = ("/etc/", "/usr/", "/var/lib/", "/var/log/")
"""Where roles lay files; what is in others is not looked at."""


@section("configuration")
def configuration(questions: Questions) -> dict[str, Any]:
    """The files that the roles lay here, each as it is found; ``questions`` names them."""
    asked: dict[str, list[str]] = questions.get("configuration", {})
    if not asked:
        raise Unread("les fichiers attendus de l’hôte ne sont pas connus")
    wanted = [path for paths in asked.values() for path in paths]
    strange = [path for path in wanted if posixpath.normpath(path) != path or not path.startswith(LAID_BELOW)]
    if strange:
        raise Unread(f"{strange[0]} n’est pas un fichier que le déploiement laisse")
    return {path: found_file(path) for path in wanted}


def found_file(path: str) -> dict[str, Any]:
    """One file: kind, owner, group, mode, and its options or the hash of its content."""
    place = Path(path)
    try:
        known = place.lstat()
    except FileNotFoundError:
        return {"state": "absent"}
    found: dict[str, Any] = {
        "owner": _name_of(pwd.getpwuid, known.st_uid),
        "group": _name_of(grp.getgrgid, known.st_gid),
        "mode": f"{stat.S_IMODE(known.st_mode):04o}",
    }
    if stat.S_ISLNK(known.st_mode):
        return {"state": "link", "target": str(place.readlink())}
    if not stat.S_ISREG(known.st_mode):
        return {"state": "directory" if stat.S_ISDIR(known.st_mode) else "other", **found}
    content = place.read_bytes()
    found |= {"state": "file", "sha256": hashlib.sha256(content).hexdigest()}
    try:
        options = options_of(path, content.decode("utf-8", "replace"))
    except ValueError as error:
        return {**found, "unreadable": str(error)[:200]}
    return found if options is None else {**found, "options": options}


def _name_of(ask: Any, number: int) -> str:
    try:
        return str(ask(number)[0])
    except KeyError:
        return str(number)


@section("overrides")
def overrides(questions: Questions) -> list[dict[str, Any]]:
    """What lies where services read more than their own files, and is not laid by a role.

    For each its ``package``, and whether it is still as that package brought it.
    """
    laid = {path for paths in questions.get("configuration", {}).values() for path in paths}
    patterns = [*MORE_OVERRIDES]
    for name in questions["components"]:
        patterns += [pattern.format(name=name) for pattern in OVERRIDES]
    there = {str(path) for pattern in patterns for path in Path("/").glob(pattern[1:]) if path.is_file()}
    found = sorted(there - laid)
    packages = _packages(found)
    return [
        {
            "path": path,
            "policy": "/policy" in path,
            "package": packages[path][0] if path in packages else None,
            "as_packaged": path in packages and _md5(path) in packages[path][1],
        }
        for path in found
    ]


def _packages(paths: list[str]) -> dict[str, tuple[str, set[str]]]:
    """The package of each file and the MD5 sums that it gives of it (dpkg knows no other).

    A link of ``update-alternatives`` is what it leads to.
    """
    real = {path: os.path.realpath(path) for path in paths}
    owners: dict[str, str] = {}
    if paths:
        for line in output("dpkg-query", "--search", *sorted({*real.values()}), ok=(0, 1)).splitlines():
            package, _colon, path = line.partition(": ")
            owners[path] = package.split(",")[0]
    return {
        path: (owners[place], _sums(owners[place], place)) for path, place in real.items() if place in owners
    }


def _sums(package: str, path: str) -> set[str]:
    sums = {
        line.split()[1]
        for line in output("dpkg-query", "--show", "--showformat=${Conffiles}\n", package).splitlines()
        if line.split()[:1] == [path]
    }
    listed = Path(f"/var/lib/dpkg/info/{package}.md5sums")
    if listed.is_file():
        lines = (line.split(maxsplit=1) for line in listed.read_text("utf-8").splitlines())
        sums |= {line[0] for line in lines if f"/{line[1]}" == path}
    return sums


def _md5(path: str) -> str:
    return hashlib.md5(Path(os.path.realpath(path)).read_bytes(), usedforsecurity=False).hexdigest()
