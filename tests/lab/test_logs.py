"""Central logs in the lab: every node is heard, a node that is cut off is heard later, tampering is found."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from socle.catalogue import Catalogue
from stacks.tenant.plan import domain_name
from tests.lab.deployed import Lab
from tests.waiting import eventually

pytestmark = pytest.mark.lab

CUT_OFF = "cmp1"
MESSAGES = 1000
PROBE = "inet socle_probe"


@pytest.fixture(scope="module")
def store(lab: Lab) -> str:
    """The node that keeps the logs."""
    return next(name for name, host in lab.site.hosts.items() if "vault" in host.groups)


@pytest.fixture(scope="module")
def intake(lab: Lab, store: str, components: Catalogue) -> str:
    """Address and port of the receiver."""
    listener = components["logs_store"].listeners["intake"]
    return f"{lab.site.hosts[store].address}:{listener.port}"


def found(lab: Lab, text: str) -> list[dict[str, Any]]:
    """Entries of the store that contain a text."""
    done = lab.socle("logs", "search", text, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def messages(lab: Lab, marker: str) -> list[str]:
    """What was logged under a marker, without what speaks of the marker: sudo logs our commands."""
    entries = found(lab, marker)
    return [entry["MESSAGE"] for entry in entries if entry.get("SYSLOG_IDENTIFIER") == "socle-probe"]


def log(lab: Lab, node: str, marker: str, count: int) -> None:
    """Entries in the journal of a node: marker and number."""
    lab.on(node, f"seq -f {marker}-%.0f {count} | logger --tag socle-probe")


@pytest.fixture
def cut_off(lab: Lab, intake: str) -> Iterator[str]:
    """A node that cannot reach the store."""
    port = intake.rpartition(":")[2]
    chain = f"{PROBE} out {{ type filter hook output priority raw \\; }}"
    rule = f"{PROBE} out tcp dport {port} drop"
    lab.on(CUT_OFF, f"nft add table {PROBE} && nft add chain {chain} && nft add rule {rule}")
    try:
        yield CUT_OFF
    finally:
        lab.on(CUT_OFF, f"nft delete table {PROBE}", check=False)


def test_every_node_is_heard_by_its_own_name(lab: Lab) -> None:
    marker = f"probe-{uuid.uuid4()}"
    for node in lab.site.hosts:
        log(lab, node, marker, 1)
    heard = eventually(
        lambda: {entry["node"] for entry in found(lab, f"{marker}-1")},
        lambda names: names == set(lab.site.hosts),
    )
    assert heard == set(lab.site.hosts)


def test_a_node_that_is_cut_off_is_heard_later_and_nothing_is_lost(lab: Lab, cut_off: str) -> None:
    marker = f"probe-{uuid.uuid4()}"
    log(lab, cut_off, marker, MESSAGES)
    assert messages(lab, marker) == []
    lab.on(cut_off, f"nft delete table {PROBE}")
    heard = eventually(
        lambda: messages(lab, marker), lambda texts: len(set(texts)) == MESSAGES, seconds=240, pause=5
    )
    assert len(heard) == MESSAGES, f"{len(heard) - MESSAGES} came twice"


def test_a_receiver_that_is_killed_loses_nothing(lab: Lab, store: str) -> None:
    marker = f"probe-{uuid.uuid4()}"
    for number in range(4):
        log(lab, CUT_OFF, f"{marker}-{number}", MESSAGES // 4)
        lab.on(store, "systemctl kill --signal=KILL socle-logs")
    heard = eventually(lambda: messages(lab, marker), lambda texts: len(set(texts)) == MESSAGES, seconds=120)
    assert len(heard) == MESSAGES


@pytest.mark.parametrize(
    ("node", "field", "value"),
    [
        ("sec1", "SYSLOG_IDENTIFIER", "openbao-audit"),
        ("ctl1", "SYSLOG_IDENTIFIER", "sudo"),
        ("ctl1", "_COMM", "sshd-session"),
        ("ctl1", "_SYSTEMD_UNIT", "mariadb.service"),
        ("ctl1", "_SYSTEMD_UNIT", "rabbitmq-server.service"),
        ("ctl1", "_SYSTEMD_UNIT", "haproxy.service"),
        ("ctl1", "_SYSTEMD_UNIT", "keystone.service"),
        ("ctl1", "_SYSTEMD_UNIT", "nova-api.service"),
        ("ctl1", "_SYSTEMD_UNIT", "neutron-api.service"),
        ("ctl1", "_SYSTEMD_UNIT", "cinder-api.service"),
        ("ctl1", "_SYSTEMD_UNIT", "glance-api.service"),
        ("ctl1", "_SYSTEMD_UNIT", "barbican-api.service"),
        ("ctl1", "_SYSTEMD_UNIT", "placement-api.service"),
        ("ctl1", "_SYSTEMD_UNIT", "ovn-northd.service"),
        ("cmp1", "_SYSTEMD_UNIT", "libvirtd.service"),
        ("cmp1", "_SYSTEMD_UNIT", "nova-compute.service"),
        ("cmp1", "_SYSTEMD_UNIT", "ovs-vswitchd.service"),
        ("cmp1", "_SYSTEMD_UNIT", "ovn-controller.service"),
        ("sto1", "_COMM", "ceph-mon"),
    ],
)
def test_what_services_say_is_in_the_store(lab: Lab, store: str, node: str, field: str, value: str) -> None:
    files = f"/var/log/socle/{node}/*.jsonl*"
    pattern = f'"{field}":"{value}'
    count = lab.on(store, f"zgrep -h -c '{pattern}' {files} | sort -n | tail -n 1", check=False)
    assert int(count or 0) > 0


def test_a_tenant_gets_its_own_events_and_nothing_of_others(lab: Lab, cloud: Any) -> None:
    begin = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    told: dict[str, set[str]] = {}
    projects: dict[str, set[str]] = {}
    for siren in lab.site.tenants:
        domain = cloud.identity.find_domain(domain_name(siren), ignore_missing=False)
        projects[siren] = {project.id for project in cloud.identity.projects(domain_id=domain.id)}
        lines = lab.socle("logs", "extract", "--tenant", siren, "--from", begin).stdout.splitlines()
        events = [json.loads(line) for line in lines]
        assert any(event["who"]["project"] in projects[siren] for event in events)
        assert all(event["time"] and event["who"] and event["outcome"] for event in events)
        told[siren] = {event["id"] for event in events if event["who"]["project"] in projects[siren]}
        strangers = set().union(*(ids for other, ids in projects.items() if other != siren))
        assert not [event for event in events if event["who"]["project"] in strangers]
    assert len(set().union(*told.values())) == sum(len(ids) for ids in told.values())


def test_a_copy_is_what_was_sealed_and_proves_itself(lab: Lab, tmp_path: Path) -> None:
    for _run in range(2):
        told = json.loads(lab.socle("--json", "logs", "copy", str(tmp_path)).stdout)
        assert told
        assert all(one["faults"] == [] and one["files"] >= len(lab.site.hosts) for one in told.values())
    (folder,) = (tmp_path / host for host in told)
    path = max(folder.glob("*/*.jsonl"), key=lambda file: file.stat().st_size)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"node"', b'"edon"', 1))
    done = lab.socle("logs", "copy", str(tmp_path), check=False)
    assert done.returncode == 1
    assert path.name in done.stdout + done.stderr


def test_tampering_is_found_and_the_store_is_well_again(lab: Lab, store: str) -> None:
    lab.on(store, "systemctl start socle-logs-seal")
    well = lab.socle("logs", "verify")
    assert "is what was sealed" in well.stdout
    path = f"/var/log/socle/{store}/{datetime.now(UTC):%Y-%m-%d}.jsonl"
    lab.on(store, "systemctl stop socle-logs socle-logs-seal.timer")
    try:
        lab.on(store, f"cp -p {path} /root/probe.jsonl && sed -i 1s/node/nodE/ {path}")
        broken = lab.socle("logs", "verify", check=False)
        assert broken.returncode == 1
        assert "are not what was sealed" in broken.stdout
    finally:
        lab.on(store, f"cp -p /root/probe.jsonl {path} && rm /root/probe.jsonl")
        lab.on(store, "systemctl start socle-logs socle-logs-seal.timer")
    assert lab.socle("logs", "verify").returncode == 0


def test_seals_that_are_gone_are_told_until_the_disk_is_said_to_be_lost(lab: Lab, store: str) -> None:
    seals, copy = "/var/log/socle/seals.jsonl", "/root/probe-seals.jsonl"
    lab.on(store, "systemctl stop socle-logs-seal.timer && systemctl start socle-logs-seal")
    lab.on(store, f"cp -p {seals} {copy}")
    try:
        assert lab.socle("logs", "verify").returncode == 0
        lab.on(store, f"sed -i '$ d' {seals}")
        broken = lab.socle("logs", "verify", check=False)
        assert broken.returncode == 1
        assert "are gone since the last verification" in broken.stdout
        lab.socle("logs", "forget", store, "--yes")
        assert "no verification" in lab.socle("logs", "forget", store, "--yes", check=False).stderr
        assert lab.socle("logs", "verify").returncode == 0
    finally:
        lab.on(store, f"cp -p {copy} {seals} && rm {copy}")
        lab.on(store, "systemctl start socle-logs-seal.timer")
    assert lab.socle("logs", "verify").returncode == 0


def test_nobody_comes_in_in_plaintext_or_without_a_certificate(lab: Lab, intake: str) -> None:
    curl = "curl --silent --max-time 10 --output /dev/null --data x"
    trust = "--cacert /usr/local/share/ca-certificates/socle.crt"
    own = "--cert /etc/socle/tls/logs.crt --key /etc/socle/tls/logs.key"
    told = "; echo status $?"
    assert lab.on(CUT_OFF, f"{curl} http://{intake}/upload {told}").strip() != "status 0"
    assert lab.on(CUT_OFF, f"{curl} {trust} https://{intake}/upload {told}").strip() != "status 0"
    assert lab.on(CUT_OFF, f"{curl} {trust} {own} https://{intake}/upload {told}").strip() == "status 0"
