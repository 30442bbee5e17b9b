"""The lab's networks on the machine: a bridge per zone, a cable per node, no way from one zone to another."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path

from socle.errors import ExitCode, SocleError
from socle.lab.plan import LabNode, LabPlan, LabZone, veth_name
from socle.lab.process import run

CABLE_SECONDS = 15
POLL_SECONDS = 0.05


def ensure_bridges(plan: LabPlan) -> None:
    """Make missing bridges, give the machine its addresses, and forbid forwarding between zones."""
    present = _links()
    for zone in plan.zones:
        _ensure_bridge(zone, exists=zone.bridge in present)
    run(["nft", "-f", "-"], text=firewall(plan), doing="firewall of the lab")


def remove_bridges(plan: LabPlan) -> None:
    """Remove bridges and firewall; what is already gone is fine."""
    present = _links()
    for zone in plan.zones:
        if zone.bridge in present:
            run(["ip", "link", "delete", zone.bridge], doing=f"bridge {zone.bridge}")
    table = _table(plan)
    removal = f"table inet {table} {{ }}\ndelete table inet {table}\n"
    run(["nft", "-f", "-"], text=removal, doing="firewall of the lab")


def firewall(plan: LabPlan) -> str:
    """The nftables rules: zones are separate, whatever the machine's own forwarding is.

    Metadata requests (169.254.0.0/16) that a guest sends stay in the lab by the same rule.
    """
    table = _table(plan)
    # With br_netfilter, packets inside one bridge pass here too.
    rules = "\n".join(
        f'    iifname "{zone.bridge}" oifname != "{zone.bridge}" counter drop\n'
        f'    oifname "{zone.bridge}" iifname != "{zone.bridge}" counter drop'
        for zone in plan.zones
    )
    return f"""table inet {table} {{ }}
delete table inet {table}
table inet {table} {{
  chain forward {{
    type filter hook forward priority -10; policy accept;
{rules}
  }}
}}
"""


def cables(plan: LabPlan, node: LabNode) -> list[str]:
    """The node's cables as ``systemd-nspawn --network-veth-extra`` takes them: machine's end, node's end."""
    return [f"{veth_name(plan.name, node.name, cable.zone)}:{cable.device}" for cable in node.cables]


def attach(plan: LabPlan, node: LabNode) -> None:
    """Plug the node's cables into their bridges, as soon as the starting container has made them.

    Raises:
        SocleError: they do not appear.
    """
    zones = [plan.zone(cable.zone) for cable in node.cables]
    wanted = {veth_name(plan.name, node.name, zone.name): zone for zone in zones}
    deadline = time.monotonic() + CABLE_SECONDS
    while not wanted.keys() <= _links():
        if time.monotonic() > deadline:
            raise SocleError("its network cables do not appear", where=node.name, write="see its console log")
        time.sleep(POLL_SECONDS)
    for outer, zone in wanted.items():
        settings = ["master", zone.bridge, "mtu", str(zone.mtu), "up"]
        run(["ip", "link", "set", outer, *settings], doing=f"network of {node.name}")


def detach(plan: LabPlan, node: str) -> None:
    """Remove what is left of a stopped node's cables: the kernel takes a moment to do it by itself."""
    ours = {veth_name(plan.name, node, zone.name) for zone in plan.zones}
    for outer in sorted(ours & _links()):
        # It may go by itself between the look and the command: only what stays is an error.
        subprocess.run(["ip", "link", "delete", outer], capture_output=True, check=False)
        if outer in _links():
            raise SocleError(f"{outer} cannot be removed", where=node)


def check_free(plan: LabPlan) -> None:
    """Raise when a prefix of the lab is already in use on the machine outside of the lab.

    Raises:
        SocleError: exit code 4, with the prefix and the link that has it.
    """
    ours = {zone.bridge for zone in plan.zones}
    for prefix, link in _routed():
        if link in ours:
            continue
        for zone in plan.zones:
            if zone.prefix.overlaps(prefix):
                raise SocleError(
                    f"prefix {zone.prefix} of zone {zone.name} is already routed to {link} ({prefix})",
                    where="this machine",
                    expected="a prefix that nothing here uses",
                    write="change the zone's prefix in site.yml",
                    exit_code=ExitCode.PREREQUISITE,
                )


def check_forwarding() -> None:
    """Raise when the machine's own firewall would drop packets inside a bridge, as Docker's does.

    Raises:
        SocleError: exit code 4.
    """
    filtered = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not filtered.exists() or filtered.read_text(encoding="ascii").strip() == "0":
        return
    chain = subprocess.run(
        ["nft", "list", "chain", "ip", "filter", "FORWARD"], capture_output=True, text=True, check=False
    )
    if "policy drop" in chain.stdout:
        raise SocleError(
            "its firewall drops forwarded packets, those between two nodes too",
            where="this machine",
            expected="bridges that are not filtered",
            write="run `sysctl net.bridge.bridge-nf-call-iptables=0`",
            exit_code=ExitCode.PREREQUISITE,
        )


def _ensure_bridge(zone: LabZone, *, exists: bool) -> None:
    doing = f"bridge {zone.bridge}"
    if not exists:
        # Multicast of keepalived must pass though nobody queries for group members.
        options = ["type", "bridge", "forward_delay", "0", "mcast_snooping", "0"]
        run(["ip", "link", "add", zone.bridge, "mtu", str(zone.mtu), *options], doing=doing)
    disable_ipv6 = Path(f"/proc/sys/net/ipv6/conf/{zone.bridge}/disable_ipv6")
    if disable_ipv6.exists():
        disable_ipv6.write_text("1\n", encoding="ascii")
    if zone.host_address:
        run(["ip", "address", "replace", str(zone.host_address), "dev", zone.bridge], doing=doing)
    run(["ip", "link", "set", zone.bridge, "up"], doing=doing)


def _links() -> set[str]:
    links = json.loads(run(["ip", "-json", "link"], doing="links of this machine"))
    return {link["ifname"] for link in links}


def _routed() -> Iterable[tuple[IPv4Network, str]]:
    for route in json.loads(run(["ip", "-json", "-4", "route"], doing="routes of this machine")):
        if route["dst"] != "default" and "dev" in route:
            yield IPv4Network(route["dst"]), route["dev"]


def _table(plan: LabPlan) -> str:
    return f"socle_{plan.name}".replace("-", "_")
