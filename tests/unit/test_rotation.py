"""Rotations against a real OpenBao, servers and services played: killed anywhere, run again, ended right."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from socle import catalogue, durable, vault
from socle.cli import app
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.vault import login, snapshots
from socle.vault.api import client
from socle.vault.place import DEPLOYER, Place
from socle.vault.rotation import Rotation
from socle.vault.rotation_targets import SERVERS, Login
from tests.unit.rotation_world import (
    NAMES,
    ROUNDS,
    Killed,
    World,
    accepts,
    settled,
)


def test_accounts_change_and_the_old_are_refused(world: World) -> None:
    before = {path: world.used["nova", path] for path in NAMES}
    run = world.rotate("nova")
    assert settled(world.values("nova"))
    assert set(NAMES) <= set(world.proved)
    for path in NAMES:
        assert world.held[path] == {world.used["nova", path]}
        assert before[path] not in world.held[path]
        assert world.used["nova", path].name != before[path].name
    assert world.used["nova_compute", "nova/queue"] == world.used["nova", "nova/queue"]
    assert run.resumed == []
    held, used = dict(world.held), dict(world.used)
    for role in (*SERVERS.values(), "nova", "nova_compute"):
        world.run(role)
    assert (world.held, world.used) == (held, used), "a deployment afterwards finds nothing to do"
    world.rotate("nova/queue")
    assert world.used["nova", "nova/queue"].name == before["nova/queue"].name, "accounts are used in turn"


def test_a_copy_of_openbao_holds_what_a_rotation_made(world: World) -> None:
    taken = world.place.folder / snapshots.TAKEN
    world.rotate("nova/queue")
    first = durable.read_json(taken)
    world.rotate("nova/queue")
    second = durable.read_json(taken)
    assert first["sha256"] != second["sha256"]
    assert first["time"] <= second["time"]
    assert any((world.place.folder / snapshots.COPIES).glob("*.snap"))


@pytest.mark.slow
def test_killed_before_each_step_and_run_again(world: World) -> None:
    ended = 0
    for steps in range(ROUNDS):
        before = {path: world.used["nova", path] for path in NAMES}
        world.left = steps
        try:
            world.rotate("nova")
        except Killed:
            ended += 1
        else:
            break
        world.check()
        world.left = -1
        world.rotate("nova")
        assert settled(world.values("nova"))
        for path in NAMES:
            assert world.held[path] == {world.used["nova", path]}
            assert before[path] not in world.held[path], f"killed at {steps}: {path} was not rotated"
    else:
        pytest.fail("the rotation never came to its end")
    assert ended > 15


def test_killed_and_killed_again_before_the_next_step(world: World) -> None:
    """No kill undoes what was done: a state's work is all that must fit between two of them."""
    before = world.used["nova", "nova/database"]
    for _round in range(ROUNDS):
        world.left = 3
        try:
            world.rotate("nova/database")
        except Killed:
            world.check()
        else:
            break
    else:
        pytest.fail("the rotation never came to its end")
    assert settled(world.values("nova"))
    assert before not in world.held["nova/database"]


def test_an_interrupted_one_waits_while_another_is_rotated(world: World) -> None:
    world.left = 4
    with pytest.raises(Killed):
        world.rotate("nova/queue")
    world.left = -1
    world.rotate("cinder/queue")
    assert settled(world.values("cinder"))
    assert not settled(world.values("nova"))
    assert world.rotate("nova/queue").resumed == ["nova/queue"]
    assert settled(world.values("nova"))


def test_keys_turn_once_even_when_killed(world: World) -> None:
    before = world.values("keystone")
    world.left = 1
    with pytest.raises(Killed):
        world.rotate("keystone/fernet")
    world.left = -1
    assert world.rotate("keystone/fernet").resumed == ["keystone/fernet"]
    after = world.values("keystone")
    assert after["fernet_1"] == before["fernet_0"]
    assert after["fernet_former"] == before["fernet_1"], "tokens of before are still read"
    world.rotate("keystone/credential")
    after = world.values("keystone")
    assert after["credential_1"] == before["credential_0"]
    assert before["credential_1"] not in after.values(), "nothing is encrypted with it any more"
    assert vault.ensure_secrets(world.place) == ()


def test_shared_values_are_replaced(world: World) -> None:
    before = {path: world.values(path.partition("/")[0]) for path in ("nova/metadata", "deployer/identity")}
    for path, values in before.items():
        world.rotate(path)
        component, _slash, name = path.partition("/")
        assert world.values(component)[name] != values[name]
        assert settled(world.values(component))


@pytest.mark.parametrize("role", ["host-ctl1", "service-barbican-ctl1"])
def test_a_machines_former_login_is_refused(world: World, role: str) -> None:
    host, component = "ctl1", "barbican" if "barbican" in role else "certificates"
    world.log_in(host, component)
    rotation = Rotation(world.place, catalogue.load())
    asking = client(world.place, world.place.nodes[0], login.token_of(world.place, "ansible"))
    role_id = asking.read(f"auth/approle/role/{role}/role-id")["data"]["role_id"]
    world.left = 1
    with pytest.raises(Killed):
        world.rotate(f"logins/{role}")
    assert all(accepts(world.place, role_id, one) for one in world.machines[role]), "nothing is lost"
    world.left = -1
    world.rotate(f"logins/{role}")
    *former, new = world.machines[role]
    assert len(former) == 2
    assert not [one for one in former if accepts(world.place, role_id, one)]
    assert accepts(world.place, role_id, new)
    assert len(rotation.accessors(Login(role, host))) == 1


def test_this_machines_own_login(world: World) -> None:
    former = durable.read_json(world.place.folder / DEPLOYER) or {}
    world.rotate("logins/deployer")
    assert not accepts(world.place, former["role_id"], former["secret_id"])
    assert vault.ansible_environment(world.place)["BAO_TOKEN"]


def test_the_pages_of_the_operators_guide(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(world.used)
    for page in ("rotation.md", "expired-certificate.md"):
        text = (project_root() / "docs/operator" / page).read_text("utf-8")
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in block.strip().splitlines():
                assert app.run(line.split()[1:]) == 0, (line, capsys.readouterr().err)
    assert not [key for key, account in before.items() if world.used[key].password == account.password]
    assert world.certified[-1] == "ctl1"


def test_what_somebody_else_changed_is_not_overwritten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rotation = Rotation(world.place, catalogue.load())
    secret = next(s for s in world.secrets if s.path == "glance/database")
    read = rotation._read(secret)
    rotation.mark(secret, "staged")
    monkeypatch.setattr(rotation, "_read", lambda _secret: read)
    with pytest.raises(SocleError, match="changed by somebody else meanwhile"):
        rotation.mark(secret, "staged")
    monkeypatch.undo()


def test_what_is_not_deployed_yet_is_not_rotated(lab_place: Place) -> None:
    with pytest.raises(SocleError, match="run `socle deploy`") as caught:
        Rotation(replace(lab_place, people={"zoe": ("operator",)}), catalogue.load())
    assert caught.value.exit_code == ExitCode.PREREQUISITE


def test_nobody_else_may_do_it(lab_place: Place) -> None:
    rotating = client(lab_place, lab_place.nodes[0], login.token_of(lab_place, "rotation"))
    for method, path, body in [
        ("put", "auth/approle/role/host-ctl1/secret-id", {}),
        ("put", "auth/approle/role/ansible/secret-id", {}),
        ("get", "auth/approle/role/host-ctl1/role-id", None),
        ("delete", "kv/metadata/services/nova", None),
        ("get", "kv/data/tenants/210000014", None),
    ]:
        answer = rotating.adapter.session.request(
            method,
            f"{lab_place.nodes[0].url}/v1/{path}",
            json=body,
            headers={"X-Vault-Token": rotating.token},
            verify=rotating.adapter._kwargs["verify"],
        )
        assert answer.status_code == 403, path


def test_the_command(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--json", "vault", "rotate", "nova/metadata"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rotated"] == ["nova/metadata"]
    assert next(step["name"] for step in told["steps"]) == "the new are to be used"
    assert app.run(["vault", "rotate", "--list"]) == 0
    assert "certificates/ctl1" in capsys.readouterr().out.splitlines()
    for words, code in ((["nothing"], 2), ([], 2), (["nova", "--all"], 2), (["ceph/mon"], 2)):
        assert app.run(["vault", "rotate", *words]) == code
        assert len(capsys.readouterr().err.splitlines()) == 1
    known = world.values("nova")
    secrets = {str(known[name]) for name in ("database", "queue", "identity", "metadata")}
    assert not [value for value in secrets if value in json.dumps(told)]
