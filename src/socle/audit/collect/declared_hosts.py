"""What the site's files and the service catalogue want of each host: what ``hosts`` is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from socle import catalogue
from socle.audit.collect.collector import Collector, FactKind, of_hosts, of_site
from socle.audit.collect.firewall_rules import declared as declared_firewall
from socle.audit.model import Fact
from socle.hardening import HostTraits, applied
from socle.hardening.people import AUDIT_RIGHT, GROUP, accounts_of, group_of
from socle.hardening.rules import load as load_rules
from socle.paths import project_root
from socle.site import Host, Site
from socle.site.entrance import AUDIT_ACCOUNT, trusted_authority
from socle.site.flows import flows

ROOT_RIGHTS: Final = ("%sudo", "root")
"""Who may do everything by Debian's own sudoers: root, and a group that has no member."""
ANSIBLE: Final = ("python3", "python3-apt")
"""Packages that the deployment itself needs on a host."""
ROOTWRAP: Final = {
    "ceph": ["/usr/sbin/nvme * smart-log-add --json /dev/*", "/usr/sbin/smartctl -x --json=o /dev/*"],
    "cinder": ["/usr/bin/cinder-rootwrap /etc/cinder/rootwrap.conf *"],
    "glance": ["/usr/bin/glance-rootwrap /etc/glance/rootwrap.conf *"],
    "neutron": [
        "/usr/bin/neutron-rootwrap /etc/neutron/rootwrap.conf *",
        "/usr/bin/neutron-rootwrap-daemon /etc/neutron/rootwrap.conf",
    ],
    "nova": ["/usr/bin/nova-rootwrap /etc/nova/rootwrap.conf *", "/usr/bin/privsep-helper *"],
}
"""Rights that Debian's packages give to their services: root's work behind filters of the package."""


def traits(site: Site, host: Host) -> HostTraits:
    """What the rules of hardening know of a host; the same as the role is told."""
    people = {login: person.model_dump() for login, person in site.people.people.items()}
    return HostTraits(
        groups=host.groups,
        capabilities=host.capabilities.model_dump(),
        deploy_user=site.settings.deploy_user,
        people=tuple(accounts_of(people)),
        user_authority=trusted_authority(site),
    )


def units(host: Host) -> list[str]:
    """The systemd units of the components of a host."""
    services = catalogue.load()
    return sorted({
        unit for name in services.of_groups(host.groups) for unit in services.components[name].units
    })  # fmt: skip


def rights(site: Site, host: Host) -> dict[str, list[str]]:
    """Who may run what by sudo: the roles of people, services behind their filters, the deploying account."""
    found = {name: ["ALL"] for name in (*ROOT_RIGHTS, site.settings.deploy_user)} | ROOTWRAP
    for role, commands in load_rules().rights.items():
        found[f"%{group_of(role)}"] = sorted(
            one
            for command in commands
            for one in (
                [command.format(unit=unit) for unit in units(host)] if "{unit}" in command else [command]
            )
        )
    found[AUDIT_ACCOUNT] = [AUDIT_RIGHT]
    return {who: found[who] for who in sorted(found)}


def packages(host: Host) -> list[str]:
    """Packages that somebody asked for by name: those of the components, and those of the hardening."""
    services = catalogue.load()
    components = services.of_groups(host.groups)
    named = {package for name in components for package in services.components[name].packages} | {*ANSIBLE}
    with (project_root() / "roles/hardening/defaults/main.yml").open("rb") as stream:
        extra = yaml.safe_load(stream)["hardening_packages"]
    able = host.capabilities.model_dump()
    return sorted(named | {package for need, names in extra.items() if able[need] for package in names})


def listeners(site: Site, host: Host) -> list[dict[str, Any]]:
    """What is published on a host's addresses, or on the shared ones, by the flow matrix."""
    mine = {str(address) for address in host.addresses.values()}
    if "controllers" in host.groups:
        mine |= {str(site.endpoints.internal.address), str(site.endpoints.public.address)}
    return [
        {"name": flow.name, "protocol": flow.protocol, "ports": flow.ports, "addresses": here}
        for flow in flows(site, catalogue.load())
        if flow.ports and (here := sorted(mine & {one.removesuffix("/32") for one in flow.destinations}))
    ]


def own_listeners(site: Site, host: Host) -> list[dict[str, Any]]:
    """Listeners of the host's components, called or not: alone, a member of a cluster is called by nobody."""
    services = catalogue.load()
    return [
        {
            "name": f"{name}.{key}",
            "protocol": "udp" if listener.protocol == "udp" else "tcp",
            "ports": f"{listener.port}-{listener.last_port or listener.port}",
            "addresses": [str(host.addresses[listener.zone])],
        }
        for name in services.of_groups(host.groups)
        for key, listener in services.components[name].listeners.items()
        if listener.zone in host.addresses
    ]


def clocks(site: Site) -> list[str]:
    """The time servers of the site."""
    return sorted(str(address) for address in site.settings.ntp)


def mirror(site: Site) -> dict[str, list[str]]:
    """The suites that packages of a host come from, by address: what the role ``base`` writes."""
    url, suite = str(site.settings.mirror.url), site.settings.mirror.suite
    return {url: [suite, f"{suite}-updates"], f"{url}-security": [f"{suite}-security"]}


def people(site: Site) -> dict[str, list[str]]:
    """The groups of each account of a person on hosts."""
    given = {login: person.model_dump() for login, person in site.people.people.items()}
    return {login: sorted(entry["groups"]) for login, entry in accounts_of(given).items()}


def _of(site: Site, host: Host) -> dict[str, Any]:
    held = applied(traits(site, host))
    settings = site.settings
    return {
        "accounts": sorted([settings.deploy_user, AUDIT_ACCOUNT, *people(site)]),
        "groups": {**people(site), settings.deploy_user: [], AUDIT_ACCOUNT: []},
        "people_group": GROUP,
        "sudo": rights(site, host),
        "packages": packages(host),
        "listeners": [*listeners(site, host), *own_listeners(site, host)],
        "firewall": declared_firewall(site, host),
        "units": units(host),
        "hardening": {
            "held": sorted({number for rule in held.rules for number in rule.rules}),
            "not_evaluated": sorted({number for rule in held.not_evaluated for number in rule.rules}),
            "deviations": sorted({number for rule in held.deviations for number in rule.rules}),
        },
        "ssh_address": f"{host.address}:{catalogue.load().components['base'].listeners['ssh'].port}",
        "deployers": sorted(str(address) for address in settings.deployers),
        "mirror": mirror(site),
        "clocks": clocks(site),
        "equipment": sorted(name for name, entry in site.equipment.items() if host.name in entry.hosts),
        "retention_months": settings.logs.retention_months,
        "seal_minutes": settings.logs.seal_minutes,
    }


def _read(site: Site) -> Iterator[Fact]:
    told = [
        {"name": flow.name, "zone": flow.zone, "protocol": flow.protocol, "tls": flow.tls}
        for flow in flows(site, catalogue.load())
    ]
    yield Fact(name="site.flow_encryption", subject=site.name, value=told)
    for name, host in site.hosts.items():
        yield Fact(name="host.declared", subject=name, value=_of(site, host))


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="declared hosts",
        kinds=frozenset({"static", "live"}),
        facts=(
            FactKind(
                "host.declared", of_hosts, "Ce que les fichiers du site et le catalogue veulent de l’hôte"
            ),
            FactKind("site.flow_encryption", of_site, "Matrice de flux : zone, protocole et chiffrement"),
        ),
        read=_read,
        permission="les fichiers du site, tels que validés",
    ),
)
