"""Record what a hardened machine says where the lab's containers show nothing (root; ten minutes).

    PYTHONPATH=. .venv/bin/python tools/record_machine.py

The machine is the one of ``tests/hosts``, under QEMU. Its audit program is asked as an audit asks it; the rules
of a station of administration are read on it by the commands that an audit runs on the station itself.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from socle import __version__
from socle.audit.collect import hosts, station
from socle.audit.collect.session import answered, asking
from socle.audit.model import Fact, Facts
from socle.site import Site, load
from socle.site.entrance import AUDIT_COMMAND
from tests.hosts.test_machine import HOST, Hardened
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
            write(frozen(site, "hosts", as_host(made, site)), "machine", "hardened_host")
            write(frozen(site, "station", as_station(made, site)), "machine", "station")
        finally:
            made.machine.end()


def as_host(made: Hardened, site: Site) -> list[Fact]:
    """What its audit program answers, of what only a machine shows."""
    session = ["ssh", "-F", str(made.machine.ssh_config), "-o", "BatchMode=yes", "machine", AUDIT_COMMAND]
    host = site.hosts[HOST]
    done = subprocess.run(session, input=asking(site, host), capture_output=True, text=True, check=True)
    return [fact for fact in hosts.of_host(site, host, answered(done.stdout)) if fact.name in OF_A_MACHINE]


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
