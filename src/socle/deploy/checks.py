"""What is looked at before a run touches anything: this machine, its way to the nodes, their disks."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from socle.deploy.nodes import NodeFacts, ask_all
from socle.errors import ExitCode, SocleError
from socle.paths import cache_dir, state_dir
from socle.site import Host, Site

MIB = 1024 * 1024
FREE_HERE = 512
"""MiB wanted on this machine for logs, states and binaries."""
FREE_ON_NODE = 1024
"""MiB wanted on the root file system of each node."""


class Faults(SocleError):  # noqa: N818 - it holds several errors
    """Several faults, one line each; the exit code is that of the first."""

    def __init__(self, faults: Iterable[SocleError]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(str(f) for f in self.faults), exit_code=self.faults[0].exit_code)


def check_here(site: Site) -> None:
    """Room for what a run writes on this machine.

    Raises:
        SocleError: the disk is full or nearly so (exit code 4).
    """
    places = {state_dir(site.name), cache_dir()}
    faults = [fault for path in sorted(places) for fault in [_room(path)] if fault]
    if faults:
        raise Faults(faults)


def check_nodes(site: Site, hosts: Collection[Host]) -> dict[str, NodeFacts]:
    """Every node answers, lets us be root, runs the release that the site names, and has room.

    Raises:
        Faults: all that is wrong; nodes that do not answer first (exit code 6), else 4.
    """
    if not (state_dir(site.name) / "ssh_config").is_file() and site.is_lab:
        raise SocleError(
            "its nodes were never started",
            where=site.name,
            write=f"run `socle --site {site.name} lab up`",
            exit_code=ExitCode.UNREACHABLE,
        )
    answers = ask_all(site, hosts)
    away = [answer for answer in answers.values() if isinstance(answer, SocleError)]
    facts = {name: answer for name, answer in answers.items() if isinstance(answer, NodeFacts)}
    faults = [*away, *(fault for name, found in facts.items() for fault in _node_faults(site, name, found))]
    if faults:
        raise Faults(faults)
    return facts


def check_names(site: Site) -> None:
    """The shared names of the APIs lead to the site's addresses from this machine.

    Raises:
        Faults: one line for each name that does not (exit code 4).
    """
    shared = (site.endpoints.internal, site.endpoints.public)
    faults = [fault for e in shared for fault in [_name_fault(e.name, str(e.address))] if fault]
    if faults:
        raise Faults(faults)


def _room(path: Path) -> SocleError | None:
    free = shutil.disk_usage(path).free // MIB
    if free >= FREE_HERE:
        return None
    return SocleError(
        f"the disk is full: {free} MiB free",
        where=str(path),
        expected=f"at least {FREE_HERE} MiB",
        write="make room on this machine",
        exit_code=ExitCode.PREREQUISITE,
    )


def _node_faults(site: Site, name: str, facts: NodeFacts) -> list[SocleError]:
    found = []
    if facts.disk_free < FREE_ON_NODE:
        found.append(
            SocleError(
                f"the disk is full: {facts.disk_free} MiB free on /",
                where=name,
                expected=f"at least {FREE_ON_NODE} MiB",
                write="make room on the node",
                exit_code=ExitCode.PREREQUISITE,
            )
        )
    wanted = site.settings.release.debian
    if facts.debian.split(".")[0] != wanted:
        found.append(
            SocleError(
                f"runs Debian {facts.debian}",
                where=name,
                expected=f"Debian {wanted}",
                exit_code=ExitCode.PREREQUISITE,
            )
        )
    return found


def _name_fault(name: str, address: str) -> SocleError | None:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
        what = f"leads to {', '.join(sorted(found))}"
    except socket.gaierror:
        found, what = set(), "has no address on this machine"
    if address in found:
        return None
    return SocleError(
        what,
        where=name,
        expected=address,
        write=f"write `{address} {name}` in /etc/hosts or the DNS",
        exit_code=ExitCode.PREREQUISITE,
    )
