"""Run probes: clean up after a killed run, act, clean up. What they tell joins what was read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from openstack.exceptions import SDKException

from socle.audit.collect import Collector, collect
from socle.audit.model import Facts
from socle.audit.probe import expiry, keystone, logs, openbao, storage, wire
from socle.audit.probe.canaries import Canaries
from socle.audit.probe.journal import held
from socle.audit.probe.model import Ground, Probe
from socle.errors import ExitCode, SocleError
from socle.site import Site

PROBES: Final[tuple[Probe, ...]] = (
    *keystone.PROBES,
    *openbao.PROBES,
    *storage.PROBES,
    *logs.PROBES,
    *wire.PROBES,
    *expiry.PROBES,
)
PERMISSION: Final = (
    "agit sur des canaris faits pour elle par le compte de déploiement, en leur nom, et sur rien d’autre"
)

TRIES: Final = 4
PAUSE: Final = 3
"""Seconds between tries."""

type Tell = Callable[[str], None]


def chosen(names: Iterable[str]) -> tuple[Probe, ...]:
    """Probes by name; all when none is named.

    Raises:
        SocleError: there is none of that name (exit code 2).
    """
    known = {probe.name: probe for probe in PROBES}
    wanted = list(names) or list(known)
    for name in wanted:
        if name not in known:
            expected = " or ".join(known)
            raise SocleError(f"no probe {name}", where="PROBE", expected=expected, exit_code=ExitCode.USAGE)
    return tuple(known[name] for name in wanted)


def run(site: Site, probes: Iterable[Probe] = PROBES, tell: Tell = lambda _text: None) -> Facts:
    """The facts of some probes, all at once; nothing of theirs is left when this returns.

    What stops one probe is the problem of its own fact.

    Raises:
        SocleError: other probes run (exit code 5), or a canary cannot be removed: it stays in the journal,
            and the next run begins with it.
    """
    with held(site.name) as journal:
        canaries = Canaries(site, journal)
        remove_left(canaries)
        ground = Ground(site, canaries)
        try:
            return collect(site, "live", [_collector(probe, ground) for probe in probes], tell)
        finally:
            remove_left(canaries)


def clean(site: Site) -> tuple[str, ...]:
    """Remove what a killed run left; the names of what was removed.

    Raises:
        SocleError: as ``run``.
    """
    with held(site.name) as journal:
        return remove_left(Canaries(site, journal))


def remove_left(canaries: Canaries) -> tuple[str, ...]:
    """Remove what the journal names, the last first; the names of what was removed."""
    left = canaries.journal.left()
    for made in left:
        match made.kind:
            case "tenant":
                _remove_tenant(canaries, made.name)
            case "person":
                openbao.remove(canaries.place)
            case "wire":
                wire.remove(canaries.site, made.name)
        canaries.journal.forget(made)
    return tuple(made.name for made in left)


def _remove_tenant(canaries: Canaries, name: str) -> None:
    """Remove a tenant; a request of a run that was just killed may still be on its way, and disturb a try."""
    for tries_left in reversed(range(TRIES)):
        try:
            canaries.remove(name)
        except (SocleError, SDKException):
            if not tries_left:
                raise
            time.sleep(PAUSE)
        else:
            return


def _collector(probe: Probe, ground: Ground) -> Collector:
    return Collector(
        name=f"probe {probe.name}",
        kinds=frozenset({"live"}),
        facts=(probe.fact,),
        read=lambda _site: probe.run(ground),
        permission=PERMISSION,
    )


def with_probes(read: Facts, probed: Facts) -> Facts:
    """What was read and what probes told, as one pass: probes ran before, so that no reading saw a canary."""
    return read.model_copy(
        update={
            "started": min(read.started, probed.started),
            "permissions": {**read.permissions, **probed.permissions},
            "expected": {**read.expected, **probed.expected},
            "facts": (*read.facts, *probed.facts),
        }
    )
