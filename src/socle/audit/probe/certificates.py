"""Probe of certificates: one that has ended is refused by every listener that asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from socle.audit.collect.collector import FactKind
from socle.audit.collect.network_listeners import behind
from socle.audit.model import Fact
from socle.audit.probe.model import Ground, Probe
from socle.audit.probe.remote import call
from socle.errors import SocleError
from socle.site import Host, Site

LIFE: Final = 20
"""Seconds that the certificate lives."""


def mutual(site: Site, host: Host) -> list[dict[str, Any]]:
    """The listeners of a host that ask for a certificate from the first byte on."""
    return [place for place in behind(site, host) if place["mutual"] and place["starts"] == "tls"]


def of_mutual(site: Site) -> tuple[str, ...]:
    """All of a site."""
    return tuple(place["subject"] for host in site.hosts.values() for place in mutual(site, host))


def _expired(ground: Ground) -> Iterator[Fact]:
    asked = [(host, places) for host in ground.site.hosts.values() if (places := mutual(ground.site, host))]
    with ThreadPoolExecutor(max(len(asked), 1)) as pool:
        for told in pool.map(lambda one: list(_of_host(ground.site, *one)), asked):
            yield from told


def _of_host(site: Site, host: Host, places: list[dict[str, Any]]) -> Iterator[Fact]:
    try:
        said = call(site, host, "short_certificate", "trials", places, LIFE)
    except SocleError as error:
        said = {"problem": str(error)}
    for place in places:
        yield _fact(place["subject"], said)


def _fact(subject: str, said: Mapping[str, Any]) -> Fact:
    if "problem" in said or not said["in_time"]:
        why = said.get("problem", "le certificat a fini avant l’essai")
        return Fact(name=EXPIRED.fact.name, subject=subject, problem=why)
    before, after = said["before"][subject], said["after"][subject]
    return EXPIRED.told(subject, {"before": before, "after": after})


EXPIRED: Final = Probe(
    name="expired-certificate",
    fact=FactKind("probe.expired_certificate", of_mutual, "Un certificat échu, montré à qui en demande un"),
    tried=f"un certificat de {LIFE} s au nom de l’hôte, montré à ses écoutes avant et après son échéance",
    effects=(
        f"un certificat de {LIFE} s par hôte, signé par l’autorité des services et inscrit chez elle ; sa clé"
        " ne quitte pas l’hôte et meurt avec l’essai"
    ),
    run=_expired,
)
PROBES: Final = (EXPIRED,)
