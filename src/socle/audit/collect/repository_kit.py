"""The kit on the machine that deploys: whether it is its commit, and whether that can be built again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from socle.audit.collect.repository_git import NoHistory, Repository
from socle.deploy import journal
from socle.paths import state_dir
from socle.site import Site

DAYS: Final = 90
"""How far back deployments are read."""
LOCKS: Final = ("requirements.lock", "tools/uv.lock")
TEST_DATA: Final = ("tests", "inventories/lab")
"""Where test data of the kit is: recorded facts, sites, and the lab, on which changes are tried first."""
LINK: Final = "120000"
PAIR: Final = 2
"""A module and its version."""
OWN_EXCLUDES: Final = "--exclude-per-directory=.gitignore"
"""What the kit itself ignores; a machine's own excludes hide nothing."""
MOST_BYTES: Final = 4 << 20
SECRETS: Final[Mapping[str, re.Pattern[bytes]]] = {
    "clé privée": re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"),
    "clé privée PGP": re.compile(
        rb"-----BEGIN PGP PRIVATE KEY BLOCK-----\s+(?:\S+: .*\s+)*[A-Za-z0-9+/=]{40}"
    ),
    "jeton OpenBao": re.compile(rb"\b(?:hvs|hvb|hvr|s)\.[A-Za-z0-9_-]{24,}\b"),
    "jeton de forge": re.compile(rb"\b(?:ghp_[A-Za-z0-9]{36}|glpat-[A-Za-z0-9_-]{20})\b"),
    "clé d’accès S3": re.compile(rb"\bAKIA[0-9A-Z]{16}\b"),
}
"""Forms that nothing but a secret has."""


def tree(kit: Repository) -> dict[str, Any]:
    """The work tree against its commit, by content; whether the history is whole."""
    files, differing = _compared(kit)
    return {
        "commit": kit.lines("rev-parse", "HEAD")[0],
        "files": files,
        "differing": differing,
        "unknown": kit.fields("ls-files", "-z", "--others", OWN_EXCLUDES, "--full-name", ":/"),
        "shallow": kit.lines("rev-parse", "--is-shallow-repository") != ["false"],
        "broken": _broken(kit),
    }


def test_data(kit: Repository) -> dict[str, Any]:
    """The files of ``TEST_DATA`` that hold no program, against the commit."""
    files, differing = _compared(kit, *TEST_DATA)
    unknown = kit.fields("ls-files", "-z", "--others", OWN_EXCLUDES, "--", *TEST_DATA)
    return {
        "files": files,
        "differing": differing,
        "unknown": [path for path in unknown if not path.endswith(".py")],
    }


def _compared(kit: Repository, *under: str) -> tuple[int, list[str]]:
    """How many files there are, and which are not what the commit holds. Git's index has no say in it."""
    listed = [line.split("\t", 1) for line in kit.fields("ls-tree", "-r", "-z", "HEAD", *under)]
    wanted = {path: told.split() for told, path in listed if not (under and path.endswith(".py"))}
    if not wanted:
        raise NoHistory("le commit ne tient aucun de ces fichiers")
    top = kit.top()
    there = [
        path for path, (mode, *_rest) in wanted.items() if mode != LINK and (top / path).is_file()
        and not (top / path).is_symlink()
    ]  # fmt: skip
    asked = "".join(f"{top / path}\n" for path in there).encode()
    found = dict(
        zip(there, kit.lines("hash-object", "--no-filters", "--stdin-paths", given=asked), strict=True)
    )
    for path, (mode, *_rest) in wanted.items():
        if mode == LINK and (top / path).is_symlink():
            target = bytes((top / path).readlink())
            found[path] = kit.lines("hash-object", "--stdin", given=target)[0]
    return len(wanted), sorted(path for path, (_m, _t, name) in wanted.items() if found.get(path) != name)


def _broken(kit: Repository) -> list[str]:
    """What ``git fsck`` finds: objects of the history that are missing, or are not what their name says."""
    said = kit.lines("fsck", "--full", "--no-dangling", "--no-progress", ok=tuple(range(256)))
    return [line for line in said if not line.startswith(("notice:", "dangling "))][:20]


def deployed(site: Site, kit: Repository) -> list[dict[str, Any]]:
    """The deployments of the last ``DAYS`` days that ended well, and whether they can be built again."""
    first = datetime.now(UTC) - timedelta(days=DAYS)
    runs = [
        run
        for run in journal.runs(state_dir(site.name))
        if run["command"].split()[:1] == ["deploy"]
        and run["result"] == "done"
        and datetime.fromisoformat(run["when"]) >= first
    ]
    if not runs:
        raise NoHistory(f"aucun déploiement abouti au journal depuis {DAYS} jours")
    built: dict[str, dict[str, Any]] = {}
    for run in runs:
        commit = run["commit"].removesuffix("-dirty")
        if commit not in built:
            built[commit] = _rebuilding(kit, commit)
    return [
        {
            "name": Path(run["folder"]).name,
            "commit": run["commit"].removesuffix("-dirty"),
            "as_committed": not run["commit"].endswith("-dirty"),
            **built[run["commit"].removesuffix("-dirty")],
        }
        for run in runs
    ]


def _rebuilding(kit: Repository, commit: str) -> dict[str, Any]:
    """Whether a commit is in the history, and which of its parts are not pinned by a hash."""
    if not kit.knows(commit):
        return {"known": False, "pinned": 0, "unpinned": []}
    texts = {name: kit.ask("show", f"{commit}:{name}").decode() for name in _locks(kit, commit)}
    pinned, unpinned = 0, [name for name in LOCKS if name not in texts]
    for name, text in texts.items():
        good, bad = _go(texts, name) if name.endswith("go.mod") else _python(name, text)
        pinned += good
        unpinned += bad
    return {"known": True, "pinned": pinned, "unpinned": unpinned}


def _locks(kit: Repository, commit: str) -> list[str]:
    named = kit.fields("ls-tree", "-r", "-z", "--name-only", commit)
    return [n for n in named if n in LOCKS or (n.startswith("tools/") and n.endswith(("/go.mod", "/go.sum")))]


def _python(name: str, text: str) -> tuple[int, list[str]]:
    """How many requirements of a lock have their version and a hash, and those that have not."""
    if name.endswith("go.sum"):
        return 0, []
    parts = re.split(r"\n(?=[^\s#])", "\n" + text.replace("\\\n", " "))
    wanted = [part.strip() for part in parts if part.strip() and not part.strip().startswith("#")]
    bad = [part.split()[0] for part in wanted if "==" not in part.split()[0] or "--hash=sha256:" not in part]
    return len(wanted) - len(bad), bad


def _go(texts: Mapping[str, str], name: str) -> tuple[int, list[str]]:
    """How many modules that a binary requires have their sum, and those that have not."""
    sums = {tuple(line.split()[:2]) for line in texts.get(f"{name[:-4]}.sum", "").splitlines()}
    lines = [line.strip().removesuffix(" // indirect").split() for line in texts[name].splitlines()]
    lines = [words[1:] if words[:1] in (["require"], ["replace"]) else words for words in lines]
    instead = {tuple(words[: words.index("=>")]): tuple(words[-2:]) for words in lines if "=>" in words}
    wanted = [tuple(words) for words in lines if len(words) == PAIR and words[1].startswith("v")]
    had = [(one[0], *instead.get(one, instead.get(one[:1], one))) for one in wanted]
    bad = [path for path, real, version in had if not sums & {(real, version), (real, f"{version}/go.mod")}]
    return len(wanted) - len(bad), bad


def secrets(site: Site, kit: Repository) -> dict[str, Any]:
    """What has the form of a secret in any file that the histories ever held; never the value."""
    read, found = 0, set()
    for repository in _apart(kit, Repository(site.folder)):
        paths = _objects(repository)
        for name, content in _contents(repository, paths):
            read += 1
            kinds = (kind for kind, form in SECRETS.items() if form.search(content))
            found |= {(paths[name], kind) for kind in kinds}
    return {"files": read, "found": [{"name": path, "kind": kind} for path, kind in sorted(found)]}


def _apart(kit: Repository, site: Repository) -> list[Repository]:
    """Both, or one when the site's files are in the kit's repository."""
    places = {
        tuple(one.lines("rev-parse", "--path-format=absolute", "--git-common-dir")): one
        for one in (kit, site)
    }
    return list(places.values())


def _objects(repository: Repository) -> dict[str, str]:
    """The objects of the history that have a path."""
    told = (line.split(" ", 1) for line in repository.lines("rev-list", "--objects", "HEAD"))
    return {parts[0]: parts[1] for parts in told if len(parts) > 1 and parts[1]}


def _contents(repository: Repository, names: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """The files among these objects, with what is in them."""
    asked = "".join(f"{name}\n" for name in names).encode()
    sizes = [line.split() for line in repository.lines("cat-file", "--batch-check", given=asked)]
    files = [name for name, kind, size in sizes if kind == "blob" and int(size) <= MOST_BYTES]
    said = repository.ask("cat-file", "--batch", given="".join(f"{name}\n" for name in files).encode())
    place = 0
    for name in files:
        end = said.index(b"\n", place)
        size = int(said[place:end].split()[2])
        yield name, said[end + 1 : end + 1 + size]
        place = end + 1 + size + 1
