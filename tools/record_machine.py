"""Record what a hardened machine says where the lab's containers show nothing (root; ten minutes).

    PYTHONPATH=. .venv/bin/python tools/record_machine.py

The machine is the one of ``tests/hosts``, under QEMU. Its audit program is asked as an audit asks it; the rules
of a station of administration are read on it by the commands that an audit runs on the station itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from socle import __version__
from socle.audit.collect import station
from socle.audit.model import Fact, Facts
from socle.site import Site, load
from tests.hosts.test_machine import Hardened
from tools.record_facts import write

OF_A_MACHINE = {"host.hardening.kernel", "host.hardening.auditd", "host.hardening.apparmor", "host.quality"}
"""Facts of a host that its own kernel and console have; those of its surroundings no machine of a test has."""
STATIONS = {"station.hardening": False, "station.kernel": True}
"""Facts of a station, and whether they need a kernel of its own."""
BY = "le programme d’audit de l’hôte, sur une machine durcie par le kit (tests/hosts)"


def main() -> None:
    """Make the machine and write both files."""
    with tempfile.TemporaryDirectory() as folder:
        made = Hardened(Path(folder))
        try:
            made.harden()
            site = load(made.site)
            answers = [fact for fact in made.answers() if fact.name in OF_A_MACHINE]
            write(frozen(site, "hosts", answers), "machine", "hardened_host")
            write(frozen(site, "station", as_station(made, site)), "machine", "station")
        finally:
            made.machine.end()


def as_station(made: Hardened, site: Site) -> list[Fact]:
    """What would be read on it if deployments left from there."""
    found = []
    for name, needs_kernel in STATIONS.items():
        wanted = [
            one for one in station.rules(site, shared=False) if (one.rule.needs is not None) is needs_kernel
        ]
        said = [{"text": text} for text in made.read(wanted)]
        found.append(Fact(name=name, subject=site.name, value=station.judged(wanted, said)))
    return found


def frozen(site: Site, source: str, facts: Sequence[Fact]) -> Facts:
    """These facts as one pass of one source."""
    now = datetime.now(UTC)
    return Facts(
        site=site.name,
        kind="live",
        started=now,
        ended=now,
        tool=__version__,
        permissions={source: BY},
        expected={fact.name: (fact.subject,) for fact in facts},
        facts=tuple(facts),
    )


if __name__ == "__main__":
    main()
