"""Services on their hosts, in the session of ``hosts``: configuration, MariaDB, RabbitMQ, Ceph, OVN."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from socle.audit.collect import declared
from socle.audit.collect.collector import Collector, FactKind, of_hosts
from socle.audit.collect.rendered import CONFIGURED, FACTS, configuration
from socle.audit.collect.session import ASKED, PERMISSION, HostAnswer, UnknownShape, read_hosts
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.site import Site

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
        ),
        read=_read,
        permission=PERMISSION,
    ),
)
