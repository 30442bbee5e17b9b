"""OSDs: each device of a host holds one."""

from __future__ import annotations

from collections.abc import Iterator

from socle.site.document import Fault, Loc
from socle.site.hosts import HostsFile
from socle.site.parts import Part
from socle.site.settings import Osd, Settings


def devices_hold_one_osd(hosts: Part[HostsFile], settings: Part[Settings]) -> Iterator[Fault]:
    """A second OSD on a device would overwrite the first."""
    yield from _twice(settings, ("storage", "osds"), settings.value.storage.osds)
    for name, host in hosts.value.all.hosts.items():
        yield from _twice(hosts, ("all", "hosts", name, "osds"), host.osds or ())


def _twice(part: Part[HostsFile] | Part[Settings], loc: Loc, osds: tuple[Osd, ...]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, osd in enumerate(osds):
        if osd.device and osd.device in seen:
            yield part.fault(
                *loc,
                index,
                what=f"two OSDs are on {osd.device}",
                expected="one OSD for each device",
                write="name another device, or delete the line",
            )
        seen.add(osd.device or "")


CHECKS = (devices_hold_one_osd,)
