"""Which setting is broken on which node, and what is read again to see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from socle import catalogue
from socle.audit.collect import COLLECTORS, Collector
from socle.audit.model import Control, LiveMutation
from socle.audit.mutating.broken import Broken
from socle.errors import SocleError
from socle.site import Site

SESSIONS: Final = frozenset({"hosts", "services"})
"""Collectors that read nothing but the session of each host, so that hosts do not touch each other."""
ASKING: Final = SESSIONS | {"tls", "tenant events"}
"""Collectors that read it at all."""
COSTLY: Final = {
    "hardening": ("host.hardening",),
    "rabbitmq": ("rabbitmq.state",),
    "tenant_events": ("logs.tenant_events",),
}
"""Sections of a session that take seconds, and the facts for which they are asked again."""


@dataclass(frozen=True)
class Trial:
    """A control whose setting is to be broken on a node; ``sources`` are the collectors that read it."""

    control: Control
    live: LiveMutation
    node: str
    sources: frozenset[str]

    @property
    def setting(self) -> Broken:
        """What is broken."""
        return Broken(self.control.id, self.node, self.live)

    @property
    def by_session(self) -> bool:
        """Whether its node alone tells of it."""
        return self.sources <= SESSIONS

    @property
    def allowed(self) -> frozenset[str]:
        """The controls that may turn red: itself, those said to, and the one that compares whole files."""
        drift = {"configuration-drift"} if self.live.files else set()
        return frozenset({self.control.id, *self.control.mutate.also, *self.live.also, *drift})


def planned(site: Site, controls: Iterable[Control]) -> list[Trial]:
    """A trial for each control that says how it is broken; among several hosts, the one that has fewest.

    Raises:
        SocleError: the site has no host of the component.
    """
    taken: Counter[str] = Counter()
    trials: dict[str, Trial] = {}
    live = [(control, control.mutate.live) for control in controls if control.mutate.live]
    places = {control.id: _hosts(site, how) for control, how in live}
    for control, how in sorted(live, key=lambda one: len(places[one[0].id])):
        hosts = places[control.id]
        if not hosts:
            raise SocleError(f"no host of {how.component or how.host}", where=control.id)
        node = min(hosts, key=lambda name: (taken[name], hosts.index(name)))
        taken[node] += 1
        trials[control.id] = Trial(control, how, node, sources_of(control))
    return [trials[control.id] for control, _how in live]


def sources_of(control: Control) -> frozenset[str]:
    """The collectors that read a control's facts on the running cloud alone; files of the site stay."""
    found = {one.name for one in COLLECTORS if one.kinds == {"live"} and _reads(one, control)}
    return frozenset(found | SESSIONS if found & SESSIONS else found)


def collectors_of(controls: Collection[Control]) -> list[Collector]:
    """All collectors that a first reading of some controls needs."""
    asked = set().union(*(sources_of(control) for control in controls))
    return [
        one
        for one in COLLECTORS
        if "live" in one.kinds and (one.name in asked or any(_reads(one, control) for control in controls))
    ]


def left_out(trials: Iterable[Trial], controls: Mapping[str, Control]) -> set[str]:
    """The costly sections from which no control is judged that may turn red with a trial.

    One that was read while something was broken would stay as it is in every later reading.
    """
    red = {name for trial in trials for name in trial.allowed if name in controls}
    needs = {fact for name in red for fact in controls[name].needs}
    return {section for section, facts in COSTLY.items() if not needs & set(facts)}


def _reads(collector: Collector, control: Control) -> bool:
    return any(fact.name in control.needs for fact in collector.facts)


def _hosts(site: Site, live: LiveMutation) -> list[str]:
    if live.host:
        return [live.host] if live.host in site.hosts else []
    components = catalogue.load()
    return [name for name, host in site.hosts.items() if live.component in components.of_groups(host.groups)]
