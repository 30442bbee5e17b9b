"""Three nodes of OpenBao on the loopback: one is lost, all lose power, all are gone but for a snapshot."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from socle import vault
from socle.errors import SocleError
from socle.vault import custody, quorum, remote, seal, snapshots
from socle.vault.api import client
from socle.vault.place import Place, VaultNode
from tests.unit.openbao_server import Server, begun, short_folder

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Cluster:
    """Three servers, and the place of all."""

    servers: tuple[Server, ...]
    place: Place
    folder: Path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Prepared, with three votes."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        first, place = stack.enter_context(begun(patch))
        folder = stack.enter_context(short_folder())
        servers = [first]
        for n in (2, 3):
            made = folder / str(n)
            made.mkdir()
            servers.append(Server(made, f"127.0.0.{n}"))
        first.stop()
        for one in servers:
            one.configure(*(other for other in servers if other is not one))
            one.start()
        for one in servers[1:]:
            stack.callback(one.stop)
        shown = {one.address: one.folder.joinpath("crt").read_text() for one in servers}
        at = {one.address: one for one in servers}
        patch.setattr(remote, "bootstrap_certificate", lambda _place, node: shown[node.address])
        patch.setattr(remote, "reset", lambda _place, node: at[node.address].wipe())
        patch.setattr(remote, "restart", lambda _place, node: at[node.address].restart())
        nodes = tuple(VaultNode(f"sec{n}", one.address, one.port) for n, one in enumerate(servers, start=1))
        whole = replace(place, nodes=nodes)
        vault.prepare(whole)
        with quorum.root(whole, custody.shares_of(whole), "test") as speaker:
            # A node gets its vote when it has been in step for ten seconds; two are enough here.
            body = {"server_stabilization_time": "2s"}
            speaker.write_data("sys/storage/raft/autopilot/configuration", data=body)
        wait_for_voters(whole, 3)
        yield Cluster(tuple(servers), whole, folder)


def wait_for_voters(place: Place, count: int) -> None:
    """Wait until so many nodes have a vote."""
    speaker = client(
        place,
        seal.active_node(place),
        quorum.generate(place, custody.shares_of(place), custody.ask(place, "test", "test")),
    )
    end = time.monotonic() + 120
    while True:
        servers = speaker.read("sys/storage/raft/configuration")["data"]["config"]["servers"]
        if sum(s["voter"] for s in servers) == count:
            speaker.auth.token.revoke_self()
            return
        assert time.monotonic() < end, servers
        time.sleep(0.5)


def wait_in_step(place: Place) -> None:
    """Wait until all nodes have applied what the leader had: another may be lost then, not before."""
    leader = client(place, seal.active_node(place)).sys.read_leader_status()["raft_committed_index"]
    end = time.monotonic() + 120
    while True:
        found = [
            client(place, node).sys.read_leader_status().get("raft_applied_index", 0) for node in place.nodes
        ]
        if min(found) >= leader:
            return
        assert time.monotonic() < end, (leader, found)
        time.sleep(0.5)


def test_a_node_lost_with_its_storage_joins_again(cluster: Cluster) -> None:
    place, lost = cluster.place, cluster.servers[2]
    former = vault.secret(place, "deployer/identity")
    lost.stop()
    assert not vault.prepare(place), "two of three do all the work"
    assert vault.secret(place, "deployer/identity") == former
    lost.start()
    lost.wipe()
    assert [s.sealed for s in vault.status(place)] == [False, False, True]
    assert vault.unseal(place) == ("sec3",)
    wait_in_step(place)  # it joins without a vote, whatever it was before
    wait_for_voters(place, 3)
    assert vault.secret(place, "deployer/identity") == former


def test_all_come_back_after_a_power_cut(cluster: Cluster) -> None:
    former = vault.secret(cluster.place, "deployer/identity")
    for one in cluster.servers:
        one.stop()
    for one in cluster.servers:
        one.start()
    assert vault.prepare(cluster.place)
    assert vault.secret(cluster.place, "deployer/identity") == former


def test_a_fresh_node_becomes_what_the_snapshot_says(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, file = cluster.place, cluster.folder / "openbao.snap"
    former = vault.secret(place, "deployer/identity")
    assert snapshots.take(place, file) == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0
    assert former.encode() not in file.read_bytes()
    with pytest.raises(SocleError, match="is not empty"):
        snapshots.restore(place, file, None, lambda _line: None)
    for one in cluster.servers:
        one.stop()
        shutil.rmtree(one.folder / "data")
    for one in cluster.servers:
        one.start()
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "wait", killed)
        with pytest.raises(KeyboardInterrupt):
            snapshots.restore(place, file, None, lambda _line: None)
    with pytest.raises(SocleError, match="a restore was interrupted"):
        vault.prepare(place)
    snapshots.restore(place, file, None, lambda _line: None)
    assert [s.sealed for s in vault.status(place)] == [False] * 3
    assert vault.secret(place, "deployer/identity") == former
    assert vault.prepare(place), "what it is to be is applied once more"
    assert not vault.prepare(place)


def killed(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_copy_a_day_is_kept_and_the_oldest_go(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    place, now = cluster.place, datetime.now(UTC)
    folder, day = place.folder / snapshots.COPIES, timedelta(days=1)
    monkeypatch.setattr(snapshots, "KEPT", 2)
    assert snapshots.keep(place, now)
    assert snapshots.keep(place, now + timedelta(hours=19)) is None
    second = snapshots.keep(place, now + day)
    third = snapshots.keep(place, now + 2 * day)
    assert sorted(folder.iterdir()) == [second, third]
    snapshots.owe(place)
    newer = snapshots.keep(place, now + 2 * day + timedelta(seconds=1))
    assert sorted(folder.iterdir()) == [second, newer], "copies of one day push no other day out"
    shutil.rmtree(folder)
    assert snapshots.keep(place, now), "copies that were carried away are taken anew"


def test_a_copy_that_is_owed_is_taken_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    place, now = cluster.place, datetime.now(UTC)
    snapshots.owe(place)
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "take", killed)
        with pytest.raises(KeyboardInterrupt):
            snapshots.keep(place, now)
    assert snapshots.keep(place, now), "a killed run leaves it owed"
    assert snapshots.keep(place, now) is None
    snapshots.take(place, place.folder / "by-hand.snap")
    assert snapshots.keep(place, now + timedelta(hours=21)), "one by hand, elsewhere, is not the day's"


@pytest.mark.parametrize("damage", [slice(0, -200), slice(1, None)], ids=["cut off", "changed"])
def test_a_damaged_snapshot_is_refused(cluster: Cluster, damage: slice) -> None:
    whole = cluster.folder / "whole.snap"
    snapshots.take(cluster.place, whole)
    broken = cluster.folder / "broken.snap"
    broken.write_bytes(whole.read_bytes()[damage])
    with pytest.raises(SocleError, match="no whole snapshot"):
        snapshots.restore(cluster.place, broken, None, lambda _line: None)
