"""An older copy is restored: what the site's files say since is applied anew, this machine comes in again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from socle import durable, vault
from socle.vault import custody, people, quorum, snapshots
from socle.vault.api import client
from socle.vault.login import token_of
from socle.vault.place import DEPLOYER, Place
from tests.unit.openbao_server import Server


def test_what_changed_since_the_copy_is_applied_once_more(
    place: Place, server: Server, tmp_path: Path
) -> None:
    before = replace(place, people={"eve.left": ("operator",)})
    vault.prepare(before)
    people.enrol(before, custody.shares_of(before), "eve.left", "a long enough password")
    snapshots.take(before, tmp_path / "snap")
    after = replace(place, secrets={**place.secrets, "ceph": {**place.secrets["ceph"], "rgw": "cephx"}})
    assert vault.prepare(after)
    server.wipe()
    snapshots.restore(after, tmp_path / "snap", None, lambda _line: None)
    assert vault.prepare(after)
    speaker = client(after, after.nodes[0], token_of(after, "ansible"))
    assert "rgw" in speaker.read("kv/data/services/ceph")["data"]["data"]
    with quorum.root(after, custody.shares_of(after), "test") as master:
        assert not master.list("auth/userpass/users")
    assert not vault.prepare(after)


def test_a_login_that_openbao_does_not_know_is_made_anew(place: Place) -> None:
    vault.prepare(place)
    known = durable.read_json(place.folder / DEPLOYER)
    durable.write_json(place.folder / DEPLOYER, {**known, "secret_id": known["role_id"]})
    assert vault.prepare(place)
    assert vault.ansible_environment(place)
