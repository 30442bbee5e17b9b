"""History of the site's files and of the kit: who changed what, who let it in, what was deployed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

from socle.audit.collect import repository_kit, repository_tests
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.collect.repository_git import Known, NoHistory, Repository, known_by
from socle.audit.model import Fact
from socle.paths import project_root
from socle.site import Site

DAYS: Final = 90
"""How far back the changes of a site are read: older ones cannot be signed any more."""
FIELDS: Final = ("%H", "%T", "%P", "%cI", "%ae", "%ce", "%G?", "%GS", "%GP")
FORM: Final = f"--format={'%x00'.join(FIELDS)}"
"""Between zeros, as ``-z`` ends each commit with one: no name or address in a commit can hold a zero."""
GOOD: Final = frozenset("GU")
"""A signature that is right: git knows its key (G), or gpg has it without trusting its owner (U)."""


def _read(site: Site) -> Iterator[Fact]:
    for name, (reader, _what) in KINDS.items():
        try:
            yield Fact(name=name, subject=site.name, value=reader(site))
        except NoHistory as error:
            yield Fact(name=name, subject=site.name, problem=str(error))


def _history(site: Site) -> list[dict[str, Any]]:
    """The changes of the last ``DAYS`` days, or the newest one when there is none; the newest first.

    A date is what its committer says: a change above one of these days is of these days too.

    A change is one step of the branch that is checked out: a commit, or a merge with all that it brings.
    Who signs it lets it in; ``apart`` says that this is none of those who made it. The name of an author is
    a claim, a signature proves: so it takes a merge that git makes alone of commits that others signed. Who
    signs a commit without a merge, or a merge that holds more than its parents, made it as well.
    """
    with known_by(site) as known:
        moments = known.repository.fields("log", "--first-parent", "-z", "--format=%ct", "--", ".")
        since = time.time() - DAYS * 86400
        recent = [number for number, moment in enumerate(moments, 1) if int(moment) > since]
        count = f"--max-count={max(recent, default=1)}"
        found = known.repository.fields("log", "--first-parent", "-z", FORM, count, "--", ".")
        if not found:
            raise NoHistory("les fichiers du site ne sont dans aucun commit")
        return [_change(site, known, told) for told in batched(found, len(FIELDS))]


@dataclass(frozen=True)
class Commit:
    """One commit as git tells it.

    Args:
        claimed: whom it names as author and committer: logins, or addresses of nobody of the site.
        signer: whose good signature it carries, a person of the site.
    """

    name: str
    tree: str
    parents: tuple[str, ...]
    moment: str
    claimed: frozenset[str]
    signature: str
    signer: str | None


def _commit(site: Site, known: Known, told: tuple[str, ...]) -> Commit:
    name, tree, parents, moment, author, committer, state, signer, key = told
    logins = {p.email.lower(): login for login, p in site.people.people.items()}
    who = known.logins.get(key) or (signer if signer in site.people.people else None)
    return Commit(
        name,
        tree,
        tuple(parents.split()),
        moment,
        frozenset(logins.get(one.lower(), one) for one in (author, committer)),
        state,
        who if state in GOOD else None,
    )


def _change(site: Site, known: Known, told: tuple[str, ...]) -> dict[str, Any]:
    step = _commit(site, known, told)
    brought = _brought(site, known, step)
    authors = {who for one in brought for who in (*one.claimed, one.signer) if who}
    if not brought or known.merged(*step.parents) != step.tree:
        authors |= {*step.claimed, step.signer or ""} - {""}
    proved = bool(brought) and all(one.signer for one in brought)
    return {
        "name": step.name[:12],
        "moment": step.moment,
        "authors": sorted(authors),
        "signature": step.signature,
        "signer": step.signer,
        "apart": proved and step.signer is not None and step.signer not in authors,
    }


def _brought(site: Site, known: Known, step: Commit) -> list[Commit]:
    """What a merge brings into the site's files from its other parents."""
    first, *others = step.parents or ("",)
    if not others:
        return []
    found = known.repository.fields("log", "-z", FORM, *others, f"^{first}", "--", ".")
    return [_commit(site, known, told) for told in batched(found, len(FIELDS))]


KINDS: Final[dict[str, tuple[Callable[[Site], Any], str]]] = {
    "repository.history": (
        _history,
        "Les changements des fichiers du site : qui les a faits, qui les a admis, signatures vérifiées",
    ),
    "repository.deployed": (
        lambda site: repository_kit.deployed(site, Repository(project_root())),
        "Les déploiements du journal, leur commit et les verrous de ce commit",
    ),
    "repository.tree": (
        lambda _site: repository_kit.tree(Repository(project_root())),
        "Le kit tel qu’il est sur la machine qui déploie, comparé à son commit",
    ),
    "repository.test_data": (
        lambda _site: repository_kit.test_data(Repository(project_root())),
        "Les données d’essai du kit, comparées à l’empreinte que le commit en garde",
    ),
    "repository.secrets": (
        lambda site: repository_kit.secrets(site, Repository(project_root())),
        "Ce qui a la forme d’un secret dans les historiques du kit et du site (jamais la valeur)",
    ),
    "repository.rules": (
        lambda _site: repository_tests.rules(project_root()),
        "Les règles de développement sûr, passées sur le code du kit pendant l’audit",
    ),
    "repository.tests": (
        lambda _site: repository_tests.reports(project_root(), Repository(project_root())),
        "Les rapports d’essais du commit qui est en place",
    ),
}

COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="repository",
        kinds=frozenset({"static", "live"}),
        facts=tuple(FactKind(name, of_site, what) for name, (_reader, what) in KINDS.items()),
        read=_read,
        permission="git, en lecture, sur le dossier du site et sur le kit de la machine qui déploie",
    ),
)
