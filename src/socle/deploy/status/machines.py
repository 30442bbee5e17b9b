"""Nodes, the units of each component, and certificates: one SSH call for each node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from socle.catalogue import Catalogue
from socle.deploy.checks import FREE_ON_NODE
from socle.deploy.nodes import NodeFacts, Unit, ask_all
from socle.deploy.status.finding import Finding, Section
from socle.errors import SocleError
from socle.site import Host, Site

GIB = 1024
DAY = 86400
DAYS_LEFT = 7
"""The timer of the host renews certificates of 30 days after 20."""

Answers = Mapping[str, NodeFacts | SocleError]


def machine_sections(site: Site, services: Catalogue) -> list[Section]:
    """Nodes, services, certificates."""
    hosts = list(site.hosts.values())
    units = {h.name: [u for c in services.of_groups(h.groups).values() for u in c.units] for h in hosts}
    answers = ask_all(site, hosts, units)
    return [
        Section("nodes", "Nodes", tuple(_node(host, answers[host.name]) for host in hosts)),
        Section("services", "Services", tuple(_services(hosts, services, answers))),
        Section("certificates", "Certificates", tuple(_certificates(answers))),
    ]


def _node(host: Host, answer: NodeFacts | SocleError) -> Finding:
    if isinstance(answer, SocleError):
        return Finding(host.name, "not well", {"address": host.address}, str(answer))
    facts: dict[str, str | int | float] = {
        "address": host.address,
        "groups": ", ".join(host.groups),
        "load": answer.load,
        "cores": answer.cores,
        "memory free": f"{answer.memory_available / GIB:.1f} of {answer.memory_total / GIB:.1f} GiB",
        "disk free": f"{answer.disk_free / GIB:.0f} of {answer.disk_total / GIB:.0f} GiB",
        "up": _age(answer.uptime_seconds),
    }
    if answer.disk_free < FREE_ON_NODE:
        reason = f"the disk is full: {answer.disk_free} MiB free; expected at least {FREE_ON_NODE} MiB"
        return Finding(host.name, "not well", facts, reason)
    return Finding(host.name, "well", facts)


def _services(hosts: list[Host], services: Catalogue, answers: Answers) -> Iterator[Finding]:
    for name, component in services.components.items():
        where = [h for h in hosts if component.units and name in services.of_groups(h.groups)]
        if not where:
            continue
        facts: dict[str, str | int | float] = {
            "title": component.title,
            "units": ", ".join(component.units),
            "nodes": ", ".join(h.name for h in where),
        }
        yield _service(name, facts, where, component.units, answers)


def _service(
    name: str,
    facts: dict[str, str | int | float],
    where: list[Host],
    units: tuple[str, ...],
    answers: Answers,
) -> Finding:
    asked = {h.name: answer for h in where if isinstance(answer := answers[h.name], NodeFacts)}
    missing = [host.name for host in where if host.name not in asked]
    ill = [
        f"{host}: {_words(unit)}"
        for host, answer in asked.items()
        for unit in answer.units
        if unit.name in units and not unit.well
    ]
    if name == "base" and not missing and not any(host.capabilities.time for host in where):
        return Finding(name, "not evaluated", facts, "the hosts cannot set their clocks", expected=True)
    if ill:
        return Finding(name, "not well", facts, "; ".join(ill))
    if missing:
        return Finding(name, "not evaluated", facts, f"{', '.join(missing)} does not answer")
    return Finding(name, "well", facts)


def _words(unit: Unit) -> str:
    return f"{unit.name} is not installed" if unit.load == "not-found" else f"{unit.name} is {unit.active}"


def _certificates(answers: Answers) -> Iterator[Finding]:
    for name, answer in answers.items():
        if isinstance(answer, SocleError):
            yield Finding(name, "not evaluated", reason=f"{name} does not answer")
            continue
        for certificate in answer.certificates:
            left = certificate.days_left
            facts: dict[str, str | int | float] = {"name": certificate.subject, "days left": left}
            if left >= DAYS_LEFT:
                yield Finding(f"{name}/{certificate.name}", "well", facts)
            else:
                reason = "not renewed: see `systemctl status socle-certificates` on the node"
                yield Finding(f"{name}/{certificate.name}", "not well", facts, reason)


def _age(seconds: int) -> str:
    days, rest = divmod(seconds, DAY)
    return f"{days} d {rest // 3600} h" if days else f"{rest // 3600} h {rest % 3600 // 60:02d} min"
