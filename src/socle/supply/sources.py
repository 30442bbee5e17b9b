"""What the kit and its nodes are made of: Python's lock, Go's modules, Debian's packages."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from socle import __version__
from socle.deploy.nodes import ssh
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import Host, Site
from socle.supply.bom import Component, Hash, Property, Reference
from socle.tools.go import find_go
from socle.tools.recipe import Recipe, recipes

PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
HASHED = re.compile(r"--hash=sha256:([0-9a-f]{64})")
REQUIRED = re.compile(r"^(?:require )?\t?(\S+) (v\S+)(?: // indirect)?$", re.MULTILINE)
REPLACED = re.compile(r"^(?:replace )?\t?(\S+)(?: v\S+)? => (\S+) (v\S+)$", re.MULTILINE)
FIELDS = ("Package", "Version", "Architecture", "source:Package", "source:Version", "db:Status-Status")
SECONDS = 60


def kit(binaries: dict[str, Path]) -> tuple[Component, list[Component]]:
    """The kit, and what it is made of.

    Args:
        binaries: those that are built; the modules of others are taken from their ``go.mod``, which has more.
    """
    parts = list(locked((project_root() / "requirements.lock").read_text(encoding="utf-8")))
    for name, recipe in recipes().items():
        parts += built(name, binaries[name]) if name in binaries else required(name, recipe)
    return Component(type="application", name="socle", version=__version__), merged(parts)


def locked(text: str) -> Iterator[Component]:
    """The packages of a lock file, each with the digests of all files that may be installed for it.

    Raises:
        SocleError: a line without a version, or a package without a digest.
    """
    for block in re.split(r"\n(?=[A-Za-z0-9])", f"\n{text}"):
        found = PINNED.match(block)
        if not found:
            if block.strip() and not block.strip().startswith("#"):
                raise SocleError(
                    "is not pinned", where=f"requirements.lock: {block.split()[0]}", write="make lock"
                )
            continue
        name = re.sub(r"[-_.]+", "-", found["name"]).lower()
        digests = tuple(Hash(alg="SHA-256", content=digest) for digest in HASHED.findall(block))
        if not digests:
            raise SocleError("has no hash", where=f"requirements.lock: {name}", write="make lock")
        yield Component(
            name=name,
            version=found["version"],
            purl=f"pkg:pypi/{name}@{quote(found['version'])}",
            references=(Reference(url=f"https://pypi.org/simple/{name}/", hashes=digests),),
        )


def built(name: str, binary: Path) -> list[Component]:
    """The modules that are in a binary, as Go wrote them into it.

    Raises:
        SocleError: Go cannot read it.
    """
    command: list[str | Path] = [find_go().path, "version", "-m", binary]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode != 0:
        raise SocleError("is no binary of Go", where=str(binary), write="run `socle tools build`")
    return modules(name, done.stdout)


def modules(name: str, told: str) -> list[Component]:
    """The modules in the output of ``go version -m``, with the one that it was built from.

    Of a module that is replaced, what stands for it.
    """
    lines = [line.strip().split("\t") for line in told.splitlines()]
    parts = [go_standard_library(name, told)]
    for place, words in enumerate(lines):
        following = lines[place + 1] if place + 1 < len(lines) else [""]
        used = words[0] in {"mod", "dep"} and following[0] != "=>"
        # What is built from a folder of ours is known by the name of the binary.
        if words[0] == "=>" or (used and words[2] != "(devel)"):
            parts.append(_module(words[1], words[2], words[3] if len(words) > 3 else "", name))  # noqa: PLR2004
    return parts


def go_standard_library(name: str, told: str) -> Component:
    """Go itself: its library is in every binary."""
    version = told.partition("\n")[0].rpartition(": go")[2].strip()
    return _module("stdlib", version, "", name)


def required(name: str, recipe: Recipe) -> list[Component]:
    """The modules that a ``go.mod`` requires, at the versions that its binary gets; some may not be in it.

    Of a module that is replaced, what stands for it; digests are those of ``go.sum``.
    """
    sums = [line.split() for line in (recipe.folder / "go.sum").read_text(encoding="utf-8").splitlines()]
    digests = {(path, version): digest for path, version, digest in sums}
    text = (recipe.folder / "go.mod").read_text(encoding="utf-8")
    instead = {found[1]: (found[2], found[3]) for found in REPLACED.finditer(text)}
    wanted = [instead.get(path, (path, version)) for path, version in REQUIRED.findall(text)]
    return [_module("stdlib", recipe.go_versions()[1], "", name)] + [
        _module(path, version, digests.get((path, version), ""), name) for path, version in wanted
    ]


def _module(path: str, version: str, digest: str, binary: str) -> Component:
    properties = [Property(name="socle:binary", value=binary)]
    if digest:
        properties.append(Property(name="golang:h1", value=digest))
    return Component(
        name=path,
        version=version,
        purl=f"pkg:golang/{quote(path)}@{quote(version, safe='+')}",
        properties=tuple(properties),
    )


def merged(parts: list[Component]) -> list[Component]:
    """One component for each reference, with the properties of all."""
    found: dict[str, Component] = {}
    for part in parts:
        same = found.get(part.reference)
        properties = tuple(dict.fromkeys((*(same.properties if same else ()), *part.properties)))
        found[part.reference] = part.model_copy(update={"properties": properties})
    return list(found.values())


def node(site: Site, host: Host) -> tuple[Component, list[Component]]:
    """A node, and the Debian packages on it.

    Raises:
        SocleError: it does not answer (exit code 6).
    """
    form = "".join(f"${{{field}}}\\t" for field in FIELDS) + "\\n"
    command = [*ssh(site, host), shlex.join(["dpkg-query", "--show", f"--showformat={form}"])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise SocleError("no answer", where=host.name, exit_code=ExitCode.UNREACHABLE) from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise SocleError(reason, where=host.name, exit_code=ExitCode.UNREACHABLE)
    release = site.settings.release.debian
    subject = Component(type="operating-system", name=host.name, version=f"debian-{release}")
    return subject, list(packages(done.stdout, release))


def packages(told: str, release: str) -> Iterator[Component]:
    """The installed packages in the output of ``dpkg-query``."""
    for line in told.splitlines():
        name, version, architecture, source, source_version, state = line.split("\t")[: len(FIELDS)]
        if state != "installed":
            continue
        where = f"arch={architecture}&distro=debian-{release}"
        yield Component(
            name=name,
            version=version,
            purl=f"pkg:deb/debian/{quote(name)}@{quote(version)}?{where}",
            properties=(
                Property(name="debian:source", value=source),
                Property(name="debian:source-version", value=source_version),
            ),
        )
