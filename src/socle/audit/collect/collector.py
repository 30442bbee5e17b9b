"""What a collector declares before it reads anything: facts that nobody could read are missed by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from socle import catalogue
from socle.audit.model import Fact
from socle.site import Site

type Kind = Literal["static", "live"]
type Subjects = Callable[[Site], tuple[str, ...]]


@dataclass(frozen=True)
class FactKind:
    """A fact that a collector reads.

    Args:
        name: ``<source>.<what>``, as ``host.sshd``.
        subjects: of which subjects it has to be read on a site.
        what: what it is, in French, for auditors.
    """

    name: str
    subjects: Subjects
    what: str


@dataclass(frozen=True)
class Collector:
    """A source of facts.

    Args:
        name: as messages and records call it.
        kinds: whether it reads files before a deployment (``static``), the running cloud (``live``), or both.
        facts: what it reads.
        read: reads all of it at once. What it cannot read is a fact with a ``problem``; an error of the
        whole source
            is raised as ``SocleError`` and becomes the problem of each subject.
        permission: as whom it reads, in French.
    """

    name: str
    kinds: frozenset[Kind]
    facts: tuple[FactKind, ...]
    read: Callable[[Site], Iterable[Fact]]
    permission: str


def of_site(site: Site) -> tuple[str, ...]:
    """The site itself."""
    return (site.name,)


def of_hosts(site: Site) -> tuple[str, ...]:
    """Every host."""
    return tuple(site.hosts)


def of_component(name: str) -> Subjects:
    """The hosts on which a component of the service catalogue runs."""

    def subjects(site: Site) -> tuple[str, ...]:
        return tuple(
            host.name for host in site.hosts.values() if name in catalogue.load().of_groups(host.groups)
        )

    return subjects
