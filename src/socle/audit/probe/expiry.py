"""Probe of TLS between services: a certificate of the site that has expired is refused by every listener."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from socle.audit.collect.collector import FactKind
from socle.audit.collect.network_listeners import Place, behind
from socle.audit.model import Fact
from socle.audit.probe import remote
from socle.audit.probe.expiry_end import LIFE, SILENT
from socle.audit.probe.model import Ground, Probe
from socle.deploy.nodes import AT_ONCE
from socle.errors import SocleError
from socle.site import Host, Site


def mutual(site: Site, host: Host) -> list[Place]:
    """The listeners of a host that serve nobody without a certificate of the site."""
    return [place for place in behind(site, host) if place["mutual"]]


def of_mutual(site: Site) -> tuple[str, ...]:
    """All of them, as subjects."""
    return tuple(str(place["subject"]) for host in site.hosts.values() for place in mutual(site, host))


def _shown(ground: Ground) -> Iterator[Fact]:
    site = ground.site
    hosts = [host for host in site.hosts.values() if mutual(site, host)]
    with ThreadPoolExecutor(min(AT_ONCE, max(len(hosts), 1))) as pool:
        for facts in pool.map(lambda host: _of_host(site, host), hosts):
            yield from facts


def _of_host(site: Site, host: Host) -> list[Fact]:
    places = mutual(site, host)
    asked = [{name: place[name] for name in ("subject", "address", "port")} for place in places]
    try:
        said: dict[str, dict[str, str]] = remote.call(site, host, "expiry_end", "shown", asked)
    except SocleError as error:
        return [EXPIRED.unread(place["subject"], str(error)) for place in places]
    return [
        EXPIRED.unread(subject, "personne n’écoute")
        if SILENT in value.values()
        else EXPIRED.told(subject, value)
        for subject, value in said.items()
    ]


EXPIRED: Final = Probe(
    name="expired-certificate",
    fact=FactKind(
        "probe.expired_certificate", of_mutual, "Un certificat de client échu, présenté aux écoutes mutuelles"
    ),
    tried=(
        f"un certificat de {LIFE} s, signé par l’autorité du site pour l’hôte, présenté à chacune de ses"
        " écoutes mutuelles avant et après son échéance"
    ),
    effects=(
        "un certificat par hôte dans OpenBao, échu ensuite ; des poignées de main refusées dans les journaux"
        " des services"
    ),
    run=_shown,
)
PROBES: Final = (EXPIRED,)
