"""Hosts, one SSH session each: accounts, packages, SSH server, hardening, firewall, clock, logs."""

from __future__ import annotations

from collections.abc import Iterator

from socle.audit.collect.collector import Collector, FactKind, of_hosts
from socle.audit.collect.session import PERMISSION, read_hosts
from socle.audit.model import Fact
from socle.site import Site


def _read(site: Site) -> Iterator[Fact]:
    for host, answer in read_hosts(site).items():
        yield answer.fact("host.system", host, "system")


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="hosts",
        kinds=frozenset({"live"}),
        facts=(FactKind("host.system", of_hosts, "Version de Debian et noyau de l’hôte"),),
        read=_read,
        permission=PERMISSION,
    ),
)
