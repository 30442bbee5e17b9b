"""Services on their hosts, in the session of ``hosts``: configuration, MariaDB, RabbitMQ, Ceph, OVN."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from socle import catalogue
from socle.audit.collect import declared
from socle.audit.collect.collector import Collector, FactKind, of_component, of_hosts
from socle.audit.collect.rendered import CONFIGURED, FACTS, configuration
from socle.audit.collect.session import ASKED, PERMISSION, HostAnswer, UnknownShape, read_hosts
from socle.audit.model import Fact
from socle.credentials import SECOND
from socle.errors import SocleError
from socle.site import Site

STATES: Final = {
    "mariadb": ("mariadb", "Comptes, réglages en vigueur et grappe de MariaDB"),
    "rabbitmq": ("rabbitmq", "Comptes, points d’écoute et grappe de RabbitMQ"),
    "ceph": ("ceph", "Chiffrement en vigueur des démons de Ceph et état de la grappe"),
    "ovn": ("ovn", "Bases d’OVN : accès, quorum, ports des serveurs"),
    "libvirt": ("nova_compute", "Accès à libvirt, et disques et écrans des serveurs"),
}
"""Sections of the agent that are facts of their own (``<section>.state``), on the hosts of one component."""

ASKED["configuration"] = declared.paths


def _read(site: Site) -> Iterator[Fact]:
    answers = read_hosts(site)
    try:
        wanted, problem = declared.of_hosts(site), None
    except SocleError as error:
        wanted, problem = {}, str(error)
    for host, answer in answers.items():
        yield from _configurations(host, answer, wanted.get(host, {}))
        if problem:
            yield Fact(name="config.drift", subject=host, problem=problem)
        else:
            yield answer.fact("config.drift", host, "configuration", _drift(wanted[host]))
        yield answer.fact("config.overrides", host, "overrides")
    for section, (component, _what) in STATES.items():
        shape = _mariadb if section == "mariadb" else _as_said
        for host in of_component(component)(site):
            yield answers[host].fact(f"{section}.state", host, section, shape)


def _configurations(host: str, answer: HostAnswer, wanted: Mapping[str, declared.Files]) -> Iterator[Fact]:
    for component in wanted.keys() & CONFIGURED.keys():
        yield answer.fact(
            f"config.{component}", host, "configuration", _of_component(tuple(wanted[component]))
        )


def _of_component(paths: tuple[str, ...]) -> Callable[[Any], Any]:
    def shape(files: Any) -> Any:
        broken = [path for path in paths if "unreadable" in files[path]]
        if broken:
            raise UnknownShape(f"{broken[0]} : {files[broken[0]]['unreadable']}")
        return configuration({path: files[path] for path in paths})

    return shape


def _as_said(said: Any) -> Any:
    if not isinstance(said, dict) or not said:
        raise UnknownShape("pas de relevé")
    return said


def _mariadb(said: Any) -> Any:
    """With, for each account, the databases that the catalogue gives to its component."""
    components = catalogue.load().components
    for account in said["accounts"]:
        component = components.get(account["name"].removesuffix(SECOND))
        account["own"] = sorted(component.databases) if component else []
    return said


def _drift(wanted: Mapping[str, declared.Files]) -> Callable[[Any], Any]:
    def shape(files: Any) -> Any:
        return {
            "compared": sum(len(part) for part in wanted.values()),
            "differences": [one._asdict() for one in declared.differences(wanted, files)],
        }

    return shape


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="services",
        kinds=frozenset({"live"}),
        facts=(
            *FACTS,
            FactKind(
                "config.drift", of_hosts, "Écarts entre les fichiers d’un hôte et ceux que ses rôles posent"
            ),
            FactKind(
                "config.overrides", of_hosts, "Fichiers que les services lisent en plus de ceux des rôles"
            ),
            *(FactKind(f"{name}.state", of_component(on), what) for name, (on, what) in STATES.items()),
        ),
        read=_read,
        permission=PERMISSION,
    ),
)
