"""Configuration as the roles would lay it, rendered here: the static half of what ``services`` reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from socle.audit.collect import declared
from socle.audit.collect.collector import Collector, FactKind, of_component
from socle.audit.model import Fact
from socle.site import Site

CONFIGURED: Final = {
    "keystone": "Configuration de Keystone",
    "placement": "Configuration de Placement",
    "glance": "Configuration de Glance",
    "nova": "Configuration de Nova, sur les contrôleurs",
    "nova_compute": "Configuration de nova-compute, de libvirt et de QEMU",
    "neutron": "Configuration de Neutron",
    "cinder": "Configuration de Cinder",
    "barbican": "Configuration de Barbican",
    "horizon": "Configuration de Horizon et d’Apache",
    "haproxy": "Configuration de HAProxy",
    "memcached": "Configuration de memcached",
    "mariadb": "Configuration de MariaDB",
    "rabbitmq": "Configuration de RabbitMQ",
    "ceph": "Configuration de Ceph",
    "ceph_client": "Configuration des clients de Ceph",
    "ovn": "Configuration d’OVN",
    "ovn_chassis": "Configuration du commutateur virtuel et de l’agent de métadonnées",
    "openbao": "Configuration d’OpenBao",
}
"""Components whose configuration is a fact: files whose form is known, options without secrets."""

_VERBOSE: Final = frozenset({"DEFAULT.default_log_levels", "LOGGING", "SECURITY_GROUP_RULES"})

FACTS: Final = tuple(
    FactKind(f"config.{name}", of_component(name), what) for name, what in CONFIGURED.items()
)


def configuration(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The value of ``config.<component>``: path → owner, group, mode, options, of files that have options.

    What no control asks about (log levels of libraries, units of systemd) is left out.
    """
    return {
        path: {
            "owner": file["owner"],
            "group": file["group"],
            "mode": file["mode"],
            "options": {name: value for name, value in file["options"].items() if name not in _VERBOSE},
        }
        for path, file in sorted(files.items())
        if "options" in file and not path.startswith("/etc/systemd/")
    }


def _read(site: Site) -> Iterator[Fact]:
    for host, components in declared.of_hosts(site).items():
        for component in components.keys() & CONFIGURED.keys():
            yield Fact(name=f"config.{component}", subject=host, value=configuration(components[component]))


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="rendered",
        kinds=frozenset({"static"}),
        facts=FACTS,
        read=_read,
        permission="les gabarits des rôles et les fichiers du site, rendus sur ce poste, sans secret",
    ),
)
