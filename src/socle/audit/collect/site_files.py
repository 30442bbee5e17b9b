"""What the site's own files say: people, hosts, places, equipment, suppliers, tenants, flows, registers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from socle import catalogue
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.catalogue import accounts
from socle.errors import SocleError
from socle.site import Site, load
from socle.site.flows import Flow, flows
from socle.site.records import REGISTERS
from socle.site.tenant import Tenant
from stacks.tenant.plan import domain_name, unserved

OUTSIDE = {
    "outside.dns": "Noms de domaine, d’après site.yml",
    "outside.ntp": "Heure, d’après site.yml",
    "outside.mirror": "Miroir de paquets, d’après site.yml",
}
PERMISSION = "les fichiers du site, tels que validés"


def _facts(site: Site) -> Iterator[Fact]:
    values: dict[str, Any] = {
        "site.identity": _identity(site),
        "site.people": _people(site),
        "site.hosts": _hosts(site),
        "site.places": {name: _plain(place) for name, place in sorted(site.settings.locations.items())},
        "site.equipment": {name: _plain(item) for name, item in sorted(site.equipment.items())},
        "site.suppliers": {name: _plain(supplier) for name, supplier in sorted(site.suppliers.items())},
        "site.sources": _sources(site),
        "site.addresses": _addresses(site),
        "site.tenants": {siren: _tenant(site, tenant) for siren, tenant in sorted(site.tenants.items())},
        "site.registry": {
            siren: {"state": entry.state, "domain": domain_name(siren)}
            for siren, entry in sorted(site.registry.tenants.items())
        },
        "site.flows": [_flow(flow) for flow in flows(site, catalogue.load())],
        "site.accounts": _accounts(),
    }
    for name, value in values.items():
        yield Fact(name=name, subject=site.name, value=value)
    yield _siblings(site)
    for register in REGISTERS:
        yield _register(site, register)


def _register(site: Site, register: str) -> Fact:
    name = f"records.{register}"
    if register not in site.records:
        why = f"le site ne tient pas de registre records/{register}.yml"
        return Fact(name=name, subject=site.name, problem=why)
    entries = {key: _plain(entry) for key, entry in sorted(site.records[register].items())}
    return Fact(name=name, subject=site.name, value=entries)


def _siblings(site: Site) -> Fact:
    """What other sites that are described beside this one have in common with it."""
    folders = sorted(path.parent for path in site.folder.parent.glob("*/site.yml"))
    others = [folder for folder in folders if folder != site.folder]
    name = "site.siblings"
    if not others:
        return Fact(name=name, subject=site.name, problem="aucun autre site n’est décrit à côté de celui-ci")
    own = {one["address"] for one in _addresses(site) if one["kind"] in ("host", "endpoint")}
    found = {}
    for folder in others:
        try:
            other = load(folder)
        except SocleError as error:
            return Fact(name=name, subject=site.name, problem=f"{folder.name} : {error}")
        theirs = {one["address"] for one in _addresses(other) if one["kind"] in ("host", "endpoint")}
        serials = {s for item in site.equipment.values() for s in item.identifiers}
        found[other.name] = {
            "addresses": sorted(own & theirs),
            "equipment": sorted(serials & {s for item in other.equipment.values() for s in item.identifiers}),
            "names": sorted(
                {site.openbao.name, site.endpoints.public.name, site.endpoints.internal.name}
                & {other.openbao.name, other.endpoints.public.name, other.endpoints.internal.name}
            ),
        }
    return Fact(name=name, subject=site.name, value=found)


def _plain(entry: BaseModel) -> dict[str, Any]:
    """An entry as JSON has it, without what is not said."""
    return entry.model_dump(mode="json", by_alias=True, exclude_none=True)


def _identity(site: Site) -> dict[str, Any]:
    settings = site.settings
    return {
        "domain": site.domain,
        "region": site.region,
        "services": list(settings.services),
        "availability_percent": settings.availability_percent,
        "incident_contact": settings.incident_contact,
        "federations": list(settings.federations),
        "custody": settings.openbao.custody,
        "volume_type": settings.storage.volume_type,
        "storage_replicas": settings.storage.replicas,
        "public_name": settings.endpoints.public.name,
        "internal_name": settings.endpoints.internal.name,
    }


def _people(site: Site) -> dict[str, Any]:
    """People without their keys: that they have one is enough."""
    return {
        "people": {
            login: {
                "email": person.email,
                "roles": list(person.roles),
                "ssh_keys": len(person.ssh_keys),
                **({"screening": _plain(person.screening)} if person.screening else {}),
            }
            for login, person in sorted(site.people.people.items())
        },
        "leavers": {login: _plain(leaver) for login, leaver in sorted(site.people.leavers.items())},
        "custodians": list(site.people.custodians),
    }


def _hosts(site: Site) -> dict[str, Any]:
    on = {host: name for name, item in site.equipment.items() for host in item.hosts}
    return {
        name: {
            "groups": sorted(host.groups),
            "room": host.room,
            "rack": host.rack,
            "equipment": on.get(name),
            "addresses": {zone: str(address) for zone, address in sorted(host.addresses.items())},
        }
        for name, host in sorted(site.hosts.items())
    }


def _sources(site: Site) -> list[dict[str, Any]]:
    """From where the site gets packages and images, and which supplier answers for it."""
    settings = site.settings
    urls = [("mirror", str(settings.mirror.url))]
    urls += [(f"image {image.name}", str(image.url)) for image in settings.images if image.url]
    owner = {domain: name for name, supplier in site.suppliers.items() for domain in supplier.domains}
    hosts = [(what, urlsplit(url).hostname or "") for what, url in urls]
    return [{"what": what, "host": host, "supplier": owner.get(host)} for what, host in hosts]


def _addresses(site: Site) -> list[dict[str, str]]:
    """Every address where something of the service is kept, processed or administered, or which it asks."""
    settings = site.settings
    found = [
        {"what": f"{name} ({zone})", "kind": "host", "address": str(address)}
        for name, host in site.hosts.items()
        for zone, address in host.addresses.items()
    ]
    for kind, addresses in (
        ("deployer", settings.deployers),
        ("time", settings.ntp),
        ("names", settings.dns),
    ):
        found += [{"what": kind, "kind": kind, "address": str(address)} for address in addresses]
    found += [
        {"what": "mirror", "kind": "mirror", "address": str(prefix)} for prefix in settings.mirror.addresses
    ]
    for what, point in (("internal", settings.endpoints.internal), ("public", settings.endpoints.public)):
        found.append({"what": f"{what} end point", "kind": "endpoint", "address": str(point.address)})
    return sorted(found, key=lambda one: (one["kind"], one["what"], one["address"]))


def _tenant(site: Site, tenant: Tenant) -> dict[str, Any]:
    contacts = tenant.organisation.contacts
    return {
        "domain": domain_name(tenant.siren),
        "served": unserved(site, tenant.siren) is None,
        "classification": tenant.data.classification,
        "health_data": tenant.data.health_data,
        "environments": list(tenant.lifecycle.environments),
        "start": tenant.lifecycle.start.isoformat(),
        "end": tenant.lifecycle.end.isoformat(),
        "managers": list(tenant.access.domain_managers),
        "security_contact": contacts.security.email,
        "keys_held_by": tenant.keys.held_by,
        "backup": _plain(tenant.backup) if tenant.backup else None,
        "reversibility": _plain(tenant.reversibility),
        "agreement": _plain(tenant.agreement) if tenant.agreement else None,
        "networks": sorted(
            f"{subnet.environment}/{subnet.segment} {subnet.prefix}"
            for subnet in site.tenant_networks(tenant.siren)
        ),
        "servers": len(tenant.servers),
        "segments": {s.name: s.encryption for s in tenant.network.segments},
    }


def _flow(flow: Flow) -> dict[str, Any]:
    component = flow.name.partition(".")[0]
    known = catalogue.load().components
    why = known[component].title if component in known else OUTSIDE.get(flow.name.partition("_")[0])
    return {
        "name": flow.name,
        "zone": flow.zone,
        "protocol": flow.protocol,
        "ports": flow.ports,
        "sources": list(flow.sources),
        "destinations": list(flow.destinations),
        "tls": flow.tls,
        "why": why,
    }


def _accounts() -> dict[str, Any]:
    """Technical accounts, ``domain/name``, and their roles: the provider's machines, and each component's.

    While a login is rotated, a second account of the same name and ``-b`` has its place. The account that
    Keystone is begun with has no other use: it is closed.
    """
    own = {
        f"{accounts.DOMAIN}/{name}": {"component": name, "roles": sorted(roles), "closed": False}
        for name, roles in accounts.ROLES.items()
    }
    components = {
        f"Default/{entry.identity.user}": {
            "component": name,
            "roles": sorted(entry.identity.roles),
            "closed": False,
        }
        for name, entry in catalogue.load().components.items()
        if entry.identity and entry.identity.user
    }
    begun = {"Default/admin": {"component": "keystone", "roles": ["admin"], "closed": True}}
    return dict(sorted((own | components | begun).items()))


def _kinds(names: Iterable[tuple[str, str]]) -> tuple[FactKind, ...]:
    return tuple(FactKind(name, of_site, what) for name, what in names)


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="site files",
        kinds=frozenset({"static", "live"}),
        facts=_kinds(
            [
                ("site.identity", "Le site, son domaine, les services qu’il offre"),
                ("site.people", "Les personnes, leurs rôles et leur vérification ; les personnes parties"),
                ("site.hosts", "Les machines, leurs groupes, leur salle et leurs adresses"),
                ("site.places", "Les lieux du service et leur pays"),
                ("site.equipment", "Les équipements, leurs contrats et leurs licences"),
                ("site.suppliers", "Fournisseurs, leur pays et leur capital, d’après suppliers.yml"),
                ("site.sources", "D’où viennent paquets et images, et quel fournisseur en répond"),
                ("site.addresses", "Les adresses où le service est rendu, administré, ou qu’il interroge"),
                ("site.tenants", "Les clients, leurs conventions et ce qu’ils ont demandé"),
                ("site.registry", "L’étape de la vie de chaque client, passé ou présent"),
                ("site.flows", "La matrice des flux autorisés, avec leur raison"),
                ("site.siblings", "Ce que d’autres sites décrits à côté ont en commun avec celui-ci"),
                ("site.accounts", "Les comptes de service que le catalogue prévoit, et leurs rôles"),
                ("records.drills", "Les exercices, datés, avec leurs mesures"),
                ("records.reviews", "Les revues périodiques, leur auteur et leur approbateur"),
                ("records.notices", "Ce qui a été annoncé aux clients, quand et de quoi"),
                ("records.incidents", "Les incidents, de l’ouverture à l’archive"),
                ("records.changes", "Les changements de la production, répétés, testés, approuvés"),
                ("records.media", "Les supports sortis du service, et comment ils ont été effacés"),
                ("records.support", "Les accès du support aux données, leur accord et leur retrait"),
                ("records.alarms", "Les alarmes de l’audit quotidien acquittées, par qui, et leur suite"),
            ]
        ),
        read=_facts,
        permission=PERMISSION,
    ),
)
