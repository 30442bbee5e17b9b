"""What only a lab may say: its machines are containers of the one that plays the custodians' parts."""

from __future__ import annotations

from collections.abc import Iterator

from socle.site.document import Fault
from socle.site.hosts import Capabilities, HostsFile
from socle.site.parts import Part
from socle.site.settings import Settings


def only_containers_have_played_custodians(
    hosts: Part[HostsFile], settings: Part[Settings]
) -> Iterator[Fault]:
    """With test-custodians every share lies on the deploying machine: no machine with a kernel of its own."""
    if settings.value.openbao.custody != "test-custodians":
        return
    shared = hosts.value.all.vars.capabilities
    machines = [
        name
        for name, host in hosts.value.all.hosts.items()
        if (host.capabilities or shared or Capabilities()).kernel
    ]
    if machines:
        yield settings.fault(
            "openbao",
            "custody",
            what=f"`test-custodians` on {_shown(machines)}: this machine would hold every key of OpenBao",
            expected="`custodians`; in a lab, hosts that are containers (`capabilities: {kernel: false, …}`)",
            write="write `custody: custodians`",
        )


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - enough to see which
    return f"{', '.join(f'`{name}`' for name in names[:3])}{more}"


CHECKS = (only_containers_have_played_custodians,)
