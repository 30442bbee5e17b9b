"""The firewall of each node: loaded as laid, and rules that would lock the deployer out undo themselves."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from socle.deploy.described import Role, SiteVariables
from socle.paths import project_root
from tests.roles.lab import SSH_CONFIG, each_node, output

TEMPLATE = project_root() / "roles/firewall/templates/etc/nftables.conf.j2"
TRIAL = 3
BY_A_NEW_CONNECTION = ["-o", "ControlPath=none", "-o", "ConnectTimeout=2", "-o", "ConnectionAttempts=1"]


def lets_in(node: str) -> bool:
    """Whether a new connection of the deployer is let in."""
    command = ["ssh", "-F", str(SSH_CONFIG), *BY_A_NEW_CONNECTION, node, "true"]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


@each_node
def test_every_chain_denies_by_default(node: str) -> None:
    shown = json.loads(output(node, "nft --json list table inet socle"))["nftables"]
    chains = {part["chain"]["name"]: part["chain"] for part in shown if "chain" in part}
    filters = [chain for chain in chains.values() if chain["prio"] == 0]
    assert {chain["hook"]: chain["policy"] for chain in filters} == dict.fromkeys(
        ("input", "output", "forward"), "drop"
    )


@each_node
def test_rules_are_loaded_at_boot_before_the_network(node: str) -> None:
    assert output(node, "systemctl is-enabled nftables").strip() == "enabled"
    assert "network-pre.target" in output(node, "systemctl show --property=Before nftables")


@pytest.mark.parametrize("site", ["lab", "modele-gip"])
def test_rules_of_every_host_of_a_site_are_understood(site: str) -> None:
    described = SiteVariables(site)
    for host in described.hosts:
        rules = described.render(host, Role("firewall"), f"lookup('template', '{TEMPLATE}')")
        done = subprocess.run(
            ["nft", "--check", "--file", "-"], input=rules, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{host}: {done.stderr}"


def test_rules_that_nobody_confirms_are_undone() -> None:
    node = "sec1"
    output(node, "cp -p /etc/nftables.conf /root/nftables.kept")
    try:
        output(node, "sed -i /base.ssh/d /etc/nftables.conf")
        output(node, f"socle-firewall try {TRIAL}")
        assert not lets_in(node)
        time.sleep(TRIAL + 1)
        assert lets_in(node)
        assert "base.ssh" in output(node, "nft list chain inet socle in")
    finally:
        output(node, "mv /root/nftables.kept /etc/nftables.conf")


def test_rules_that_are_confirmed_are_kept() -> None:
    node = "sec1"
    output(node, f"socle-firewall try {TRIAL}")
    output(node, "socle-firewall keep")
    handle = output(node, "nft --handle list table inet socle | head -1")
    time.sleep(TRIAL + 1)
    assert output(node, "nft --handle list table inet socle | head -1") == handle
