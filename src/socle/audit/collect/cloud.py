"""OpenStack's APIs, read by the site's own read-only account: five APIs at once, one call for each list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, Final

from socle import catalogue, cloud, vault
from socle.audit.collect.apis import compute, keystone, network, storage
from socle.audit.collect.apis.reader import NotRead, Reader
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.site import Site
from socle.site.ansible import urls

PERMISSION = "compte auditor du nuage, que les politiques des services laissent lire et rien changer"

WHAT: Final[Mapping[ModuleType, Mapping[str, str]]] = {
    keystone: {
        "keystone.domains": "Les domaines",
        "keystone.projects": "Les projets et leurs étiquettes",
        "keystone.users": "Les comptes et leur domaine",
        "keystone.factors": "Ce que chaque compte demande pour s’ouvrir, sans secret",
        "keystone.roles": "Les rôles et ceux qu’ils emportent",
        "keystone.assignments": "Les rôles tels qu’attribués aux comptes et aux groupes",
        "keystone.rights": "Les droits de chaque compte, groupes et rôles emportés compris",
        "keystone.trusts": "Les délégations",
        "keystone.services": "Les types de service que le nuage publie",
        "keystone.endpoints": "Les points d’accès et leur interface",
    },
    compute: {
        "nova.hypervisors": "Les hyperviseurs",
        "nova.services": "Les services de calcul et leur état",
        "nova.flavors": "Les gabarits",
        "nova.servers": "Les serveurs de tous les projets, où et sur quoi",
        "placement.providers": "Les fournisseurs de ressources de Placement",
    },
    network: {
        "neutron.networks": "Les réseaux, leur projet, leur partage",
        "neutron.ports": "Les ports des serveurs et des routeurs, et leur protection",
        "neutron.groups": "Les groupes de sécurité et leurs règles",
        "neutron.rbac": "Les accès donnés d’un projet à un autre",
        "neutron.agents": "Les agents du réseau",
    },
    storage: {
        "cinder.types": "Les types de volume et leur chiffrement",
        "cinder.volumes": "Les volumes, leur chiffrement, l’empreinte de l’identifiant de leur clé",
        "cinder.services": "Les services de stockage et leur état",
        "cinder.backup_services": "Les services de sauvegarde de volumes",
        "cinder.backups": "Les sauvegardes de volumes",
        "glance.images": "Les images, leur visibilité, leur âge",
        "glance.signatures": "La signature des images",
    },
}


def read_cloud(site: Site, connect: Callable[[Site], Any]) -> list[Fact]:
    """All facts of the APIs; one that an API refuses is a problem, the others are read all the same.

    Raises:
        SocleError: OpenBao does not give the account's password.
    """
    reader = Reader(connect(site))
    try:
        keystone.learn(reader)
    except NotRead as error:
        names = [name for facts in WHAT.values() for name in facts]
        return [Fact(name=name, subject=site.name, problem=str(error)) for name in names]
    with ThreadPoolExecutor(len(WHAT), thread_name_prefix="api") as pool:
        parts = pool.map(lambda module: list(_read(site, reader, module)), WHAT)
        return [fact for part in parts for fact in part]


def _read(site: Site, reader: Reader, module: ModuleType) -> Iterator[Fact]:
    """The facts of one module in order; where one fails, it and those after it have its problem."""
    left = list(WHAT[module])
    try:
        for name, value in module.read(reader):
            left.remove(name)
            yield Fact(name=name, subject=site.name, value=value)
    except NotRead as error:
        why = str(error)
    except (KeyError, TypeError, AttributeError) as error:
        why = f"réponse inattendue ({type(error).__name__} : {error})"
    else:
        why = "aucune lecture"
    for name in left:
        yield Fact(name=name, subject=site.name, problem=why)


def auditor(site: Site) -> Any:
    """The cloud as its auditor; the password comes from OpenBao and stays in this process."""
    services = catalogue.load()
    place = vault.place_of(site, services)
    auth_url = f"{urls(site, services)['keystone']['public']}/v3"
    return cloud.connection(auth_url, site.region, str(place.ca_file), vault.auditor_account(place))


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="cloud",
        kinds=frozenset({"live"}),
        facts=tuple(FactKind(name, of_site, what) for facts in WHAT.values() for name, what in facts.items()),
        read=lambda site: read_cloud(site, auditor),
        permission=PERMISSION,
    ),
)
