"""The machine that this runs on: a station of administration, hardened or not, portable or not.

    python -m socle.audit.collect.station SITE FILE

writes the facts for a service that is confined: there mounts, modules and sysctls are not the machine's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from socle.audit.collect.agent import Unread, output
from socle.audit.collect.agent_hardening import all_printed
from socle.audit.collect.agent_network import firewall
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.collect.firewall_rules import loaded
from socle.audit.collect.hosts import judged_rule
from socle.audit.model import Fact
from socle.audit.schedule import TOLD
from socle.errors import SocleError
from socle.hardening import Check, HostTraits, applied, checks
from socle.hardening.checks import SPECIAL_RIGHTS, special_rights_without
from socle.paths import cache_dir, state_dir
from socle.site import Site, load

EFFECTS: Final = frozenset(
    {"sysctl", "modules", "command_line", "mounts", "permissions", "services", "apparmor", "special_rights"}
)
"""Kinds of rules that are read in what is in force: a station is not laid by the roles of the kit."""
PORTABLE: Final = frozenset({"8", "9", "10", "14", "30", "31", "32"})
"""Forms of a case that somebody carries (SMBIOS 3.7, 7.4.1: portable, laptop, notebook, tablet…)."""
CASE: Final = Path("/sys/class/dmi/id/chassis_type")
START: Final = ("/boot", "/boot/efi", "/efi")
"""What a machine starts from; it holds no data and cannot be read otherwise."""
FACTS: Final = TypeAdapter(list[Fact])


def _read(site: Site) -> Iterable[Fact]:
    told = os.environ.get(TOLD)
    return _told(Path(told)) if told else read(site)


def _told(file: Path) -> list[Fact]:
    """What ``main`` wrote.

    Raises:
        SocleError: it wrote nothing, and an audit that is confined cannot read it itself.
    """
    try:
        return FACTS.validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise SocleError(
            f"ce poste n’a pas été lu avant l’audit confiné ({type(error).__name__})", where=str(file)
        ) from error


def read(site: Site) -> Iterator[Fact]:
    """What this machine says of itself, as this process sees it."""
    for name, (reader, _what) in KINDS.items():
        try:
            yield Fact(name=name, subject=site.name, value=reader(site))
        except Unread as error:
            yield Fact(name=name, subject=site.name, problem=str(error))


def shares_kernel() -> bool:
    """Whether this machine is a container."""
    done = subprocess.run(["systemd-detect-virt", "--container", "--quiet"], check=False)
    return done.returncode == 0


def _hardening(site: Site, needs_kernel: bool) -> dict[str, Any]:
    if os.geteuid() != 0:
        raise Unread("l’audit ne tourne pas en root : ces règles du poste ne se lisent pas")
    shared = shares_kernel()
    if needs_kernel and shared:
        raise Unread("ce poste partage le noyau et les disques de la machine qui le porte")
    wanted = [check for check in rules(site, shared) if (check.rule.needs is not None) is needs_kernel]
    walk = special_rights_without(map(str, roots_of_nodes(state_dir(site.name).parent)))
    commands = [walk if check.command == SPECIAL_RIGHTS else check.command for check in wanted]
    said = all_printed(commands)
    return judged(wanted, [said[command] for command in commands])


def roots_of_nodes(states: Path) -> list[Path]:
    """Folders of a lab on this machine that hold the files of its nodes, where none but root gets in.

    A node's accounts are not this machine's, and each node tells of its own files.
    """
    places = [cache_dir() / "layers", *states.glob("*/lab/nodes")]
    return sorted(place for place in places if place.is_dir() and _is_closed(place))


def _is_closed(place: Path) -> bool:
    """Whether a folder, or one that it is in, belongs to root and opens to nobody else."""
    looked_at = (folder.stat() for folder in (place, *place.parents))
    return any(status.st_uid == 0 and not status.st_mode & 0o077 for status in looked_at)


def rules(site: Site, shared: bool) -> list[Check]:
    """The rules of ANSSI-BP-028 that hold for any machine and are read in what is in force."""
    able = dict.fromkeys(("kernel", "auditd", "apparmor"), not shared)
    traits = HostTraits(groups=(), capabilities=able, deploy_user=site.settings.deploy_user)
    return [one for one in checks(applied(traits)) if one.rule.kind in EFFECTS or one.rule.form == "="]


def judged(wanted: list[Check], texts: list[dict[str, str]]) -> dict[str, Any]:
    """Each rule and what is wrong with it, named by theme and number as those of hosts."""
    found: dict[str, Any] = {}
    for check, said in zip(wanted, texts, strict=True):
        theme = check.rule.theme
        number = 1 + sum(one["theme"] == theme for one in found.values())
        found[f"{theme} {number}"] = judged_rule(check, said)
    return found


def _mobile(_site: Site) -> dict[str, Any]:
    if not CASE.is_file():
        raise Unread("ce poste ne dit pas s’il est portable (DMI)")
    if CASE.read_text("ascii").strip() not in PORTABLE:
        raise Unread("ce poste n’est pas portable : l’administration nomade ne s’y juge pas")
    return {"in_clear": in_clear(_disks()), **ways_out()}


def _disks() -> list[dict[str, Any]]:
    told = output("lsblk", "--json", "--paths", "--output", "NAME,TYPE,MOUNTPOINTS")
    found: list[dict[str, Any]] = json.loads(told)["blockdevices"]
    return found


def in_clear(devices: list[dict[str, Any]], sealed: bool = False) -> list[str]:
    """What is mounted, or swapped to, from a disk without dm-crypt between."""
    found = []
    for one in devices:
        inside = sealed or one["type"] == "crypt"
        places = [place for place in one["mountpoints"] if place and place not in START]
        found += [f"{one['name']} {place}" for place in places if not inside]
        found += in_clear(one.get("children") or [], inside)
    return sorted(found)


def ways_out() -> dict[str, Any]:
    """What leaves this machine: where IPsec must be used for all of IPv4, and what is let through without."""
    policies = output("ip", "-oneline", "xfrm", "policy", "show", "dir", "out").splitlines()
    words = [(line.split()[1:4], "mode tunnel" in line, "tmpl" in line) for line in policies]
    tunnels = [f"{src} {dst}" for (src, _dst, dst), tunnel, _any in words if tunnel and dst == "0.0.0.0/0"]
    past = [f"{src} {dst}" for (src, _dst, dst), _tunnel, sealed in words if not sealed]
    known = loaded(firewall({}))
    hooks = [hook for hook, policy in known["policies"].items() if policy == "drop"]
    accepts = [line.partition(" ")[2] for line in known["accepts"] if line.startswith("output ")]
    closed = sorted(hook for hook in hooks if hook.endswith(" output"))
    return {"tunnels": sorted(tunnels), "past": sorted(past), "closed": closed, "accepts": accepts}


KINDS: Final[Mapping[str, tuple[Callable[[Site], Any], str]]] = {
    "station.hardening": (
        lambda site: _hardening(site, needs_kernel=False),
        "Règles BP-028 en vigueur sur le poste d’où l’audit et les déploiements partent",
    ),
    "station.kernel": (
        lambda site: _hardening(site, needs_kernel=True),
        "Règles BP-028 du noyau, des montages et d’AppArmor de ce poste",
    ),
    "station.mobile": (_mobile, "Disques, tunnel et sorties de ce poste, s’il est portable"),
}

COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="station",
        kinds=frozenset({"live"}),
        facts=tuple(FactKind(name, of_site, what) for name, (_reader, what) in KINDS.items()),
        read=_read,
        permission="le compte qui audite, sur la machine qui déploie",
    ),
)


def main() -> None:
    """Write the facts of this machine for a site into a file.

    Raises:
        SocleError: the site's files are not valid.
    """
    folder, file = map(Path, sys.argv[1:])
    file.write_bytes(FACTS.dump_json(list(read(load(folder)))))


if __name__ == "__main__":
    main()
