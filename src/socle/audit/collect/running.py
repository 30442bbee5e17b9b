"""Run all collectors of one kind at once and freeze what they read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from socle import __version__
from socle.audit.collect import (
    audits,
    cloud,
    declared,
    hosts,
    log_copies,
    network,
    openbao,
    register,
    rendered,
    repository,
    services,
    session,
    site_files,
    stacks,
    station,
    tenant_events,
    watch,
)
from socle.audit.collect.collector import Collector, Kind
from socle.audit.collect.unread import why
from socle.audit.model import Fact, Facts
from socle.errors import SocleError
from socle.site import Site

COLLECTORS: Final[tuple[Collector, ...]] = (
    *site_files.COLLECTORS,
    *register.COLLECTORS,
    *rendered.COLLECTORS,
    *repository.COLLECTORS,
    *stacks.COLLECTORS,
    *hosts.COLLECTORS,
    *services.COLLECTORS,
    *cloud.COLLECTORS,
    *openbao.COLLECTORS,
    *network.COLLECTORS,
    *station.COLLECTORS,
    *tenant_events.COLLECTORS,
    *log_copies.COLLECTORS,
    *watch.COLLECTORS,
    *audits.COLLECTORS,
)

type Tell = Callable[[str], None]


def collect(
    site: Site, kind: Kind, collectors: Iterable[Collector] = COLLECTORS, tell: Tell = lambda _text: None
) -> Facts:
    """All facts of a site in one pass; ``tell`` hears the name of each source that has been read.

    A source that fails, however it fails, makes its facts unread, never absent: nothing is green for want of
    it.
    """
    chosen = [collector for collector in collectors if kind in collector.kinds]
    started = datetime.now(UTC)
    session.new_pass()
    declared.new_pass()
    names = [fact.name for collector in chosen for fact in collector.facts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SocleError(f"two sources declare {', '.join(twice)}", where="src/socle/audit/collect")
    expected = {fact.name: fact.subjects(site) for collector in chosen for fact in collector.facts}
    with ThreadPoolExecutor(max(len(chosen), 1), thread_name_prefix="collector") as pool:
        read = list(pool.map(lambda collector: _read(site, collector, tell), chosen))
    return Facts(
        site=site.name,
        kind=kind,
        services=site.settings.services,
        started=started,
        ended=datetime.now(UTC),
        tool=__version__,
        permissions={collector.name: collector.permission for collector in chosen},
        expected=expected,
        facts=tuple(fact for facts in read for fact in facts),
    )


def collect_again(site: Site, before: Facts, collectors: Collection[Collector]) -> Facts:
    """The same pass with the facts of some collectors read again; see ``session.ask_again`` for hosts."""
    names = {fact.name for collector in collectors for fact in collector.facts}
    with ThreadPoolExecutor(max(len(collectors), 1), thread_name_prefix="collector") as pool:
        read = list(pool.map(lambda collector: _read(site, collector, lambda _name: None), collectors))
    kept = (fact for fact in before.facts if fact.name not in names)
    return before.model_copy(
        update={"ended": datetime.now(UTC), "facts": (*kept, *(fact for facts in read for fact in facts))}
    )


def _read(site: Site, collector: Collector, tell: Tell) -> list[Fact]:
    try:
        found = list(collector.read(site))
        strangers = {fact.name for fact in found} - {fact.name for fact in collector.facts}
        if strangers:
            raise SocleError(
                f"reads {', '.join(sorted(strangers))}, which it does not declare", where=collector.name
            )
    except Exception as error:  # noqa: BLE001 - whatever stops a source, its facts are told as unread
        found = [
            Fact(name=fact.name, subject=subject, problem=why(error))
            for fact in collector.facts
            for subject in fact.subjects(site)
        ]
    tell(collector.name)
    return found
