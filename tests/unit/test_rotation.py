"""Rotations against a real OpenBao, servers and services played: killed anywhere, run again, ended right."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from socle import catalogue, credentials, durable, vault
from socle.cli import app
from socle.credentials import Account
from socle.deploy.progress import Screen
from socle.deploy.rotation import RotationRun
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import Site, load
from socle.vault import login
from socle.vault.api import client
from socle.vault.place import DEPLOYER, Place, ServiceLogin
from socle.vault.rotation import Rotation
from socle.vault.rotation_targets import SERVERS, Login, Secret, targets
from tests.unit.openbao_server import begun

NAMES = ("nova/database", "nova/queue", "nova/identity")
ROUNDS = 40


class Killed(BaseException):
    """The process ends here."""


class World:
    """Servers and services that take what OpenBao has when their role runs, and cut the run where told.

    After each step every service must be able to log in, and OpenBao must hold what servers accept.
    """

    def __init__(self, place: Place, patch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.asking = client(place, place.nodes[0], login.token_of(place, "ansible"))
        self.secrets = [t for t in targets(place, catalogue.load()).values() if isinstance(t, Secret)]
        self.accounts = [s for s in self.secrets if s.technique == "account"]
        self.held: dict[str, set[Account]] = {}
        self.used: dict[tuple[str, str], Account] = {}
        self.proved: list[str] = []
        self.machines: dict[str, list[str]] = {}
        self.certified: list[str] = []
        self.left = -1
        for role in catalogue.load().components:
            self.run(role)
        for name in ("mark", "clear", "destroy"):
            self._killable(patch, name)
        patch.setattr(RotationRun, "_play", lambda _run, *given: self.play(*given))

    def _killable(self, patch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(Rotation, name)

        def cut(*given: Any) -> None:
            self.effect()
            real(*given)
            self.check()

        patch.setattr(Rotation, name, cut)

    def effect(self) -> None:
        """Something is about to be done; the run may end before it."""
        if self.left == 0:
            raise Killed
        self.left -= 1

    def values(self, component: str) -> dict[str, Any]:
        found: dict[str, Any] = self.asking.read(f"kv/data/services/{component}")["data"]["data"]
        return found

    def play(self, playbook: str, _title: str, names: dict[str, str], _reporter: Any) -> None:
        match playbook:
            case "rotation":
                for role in names["rotation_roles"].split(","):
                    self.effect()
                    self.run(role)
                    self.check()
            case "rotation-proof":
                self.effect()
                self.prove([path for path in names.get("proof_secrets", "").split(",") if path])
            case "renewal":
                self.certified += names.get("renewal_certificates", "").split(":")
                for host in filter(None, names.get("renewal_logins", "").split(":")):
                    self.effect()
                    self.log_in(host, names["renewal_component"])

    def run(self, role: str) -> None:
        """What the role does with the accounts that it knows of."""
        for secret in self.accounts:
            if role not in (secret.server, *secret.readers):
                continue
            values = self.values(secret.component)
            if role == secret.server:
                self.held[secret.path] = set(credentials.accepted(values, secret.component, secret.name))
            if role in secret.readers:
                self.used[role, secret.path] = credentials.account(values, secret.component, secret.name)

    def check(self) -> None:
        """No service is shut out, and whatever a server accepts can be found in OpenBao."""
        for (role, path), account in self.used.items():
            assert account in self.held[path], f"{role} cannot log in with {path}"
        known = self.values("nova")
        for path in NAMES:
            assert {account.password for account in self.held[path]} <= {str(v) for v in known.values()}

    def prove(self, paths: list[str]) -> None:
        for path in paths:
            component, _slash, name = path.partition("/")
            values = self.values(component)
            used = credentials.account(values, component, name)
            assert used in self.held[path]
            for former in credentials.refused(values, component, name):
                old = Account(former, str(values[f"{name}_other"]))
                assert old not in self.held[path]
                assert old.name not in {account.name for account in self.held[path]}
            self.proved.append(path)

    def log_in(self, host: str, component: str) -> None:
        """A machine takes a SecretID, and uses it."""
        role = f"host-{host}" if component == "certificates" else f"service-{component}-{host}"
        asking = self.asking
        path = f"auth/approle/role/{role}"
        wrapped = asking.write_data(f"{path}/secret-id", data={}, wrap_ttl="60s")["wrap_info"]["token"]
        secret_id = client(self.place, self.place.nodes[0], wrapped).sys.unwrap()["data"]["secret_id"]
        role_id = asking.read(f"{path}/role-id")["data"]["role_id"]
        self.machines.setdefault(role, []).append(secret_id)
        assert accepts(self.place, role_id, secret_id)


def accepts(place: Place, role_id: str, secret_id: str) -> bool:
    guest = client(place, place.nodes[0])
    answer = guest.adapter.session.post(
        f"{place.nodes[0].url}/v1/auth/approle/login",
        json={"role_id": role_id, "secret_id": secret_id},
        verify=guest.adapter._kwargs["verify"],
    )
    return bool(answer.status_code == 200)


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, bare):
        components = catalogue.load().components
        made = replace(
            bare,
            site="lab",
            secrets={name: dict(c.secrets) for name, c in components.items() if c.secrets},
            services=(ServiceLogin("barbican", "ctl1", "127.0.0.1"),),
        )
        vault.prepare(made)
        patch.setattr(vault, "place_of", lambda *_given: made)
        yield made


@pytest.fixture
def world(place: Place, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(place, monkeypatch)


def rotate(site: Site, name: str | None) -> RotationRun:
    run = RotationRun(site, Screen(Console(file=io.StringIO())), name)
    run.go()
    return run


def settled(values: dict[str, Any]) -> bool:
    return not [key for key in values if key.endswith(("_rotation", "_other"))]


def test_accounts_change_and_the_old_are_refused(world: World, site: Site) -> None:
    before = {path: world.used["nova", path] for path in NAMES}
    run = rotate(site, "nova")
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
    rotate(site, "nova/queue")
    assert world.used["nova", "nova/queue"].name == before["nova/queue"].name, "accounts are used in turn"


@pytest.mark.slow
def test_killed_before_each_step_and_run_again(world: World, site: Site) -> None:
    ended = 0
    for steps in range(ROUNDS):
        before = {path: world.used["nova", path] for path in NAMES}
        world.left = steps
        try:
            rotate(site, "nova")
        except Killed:
            ended += 1
        else:
            break
        world.check()
        world.left = -1
        rotate(site, "nova")
        assert settled(world.values("nova"))
        for path in NAMES:
            assert world.held[path] == {world.used["nova", path]}
            assert before[path] not in world.held[path], f"killed at {steps}: {path} was not rotated"
    else:
        pytest.fail("the rotation never came to its end")
    assert ended > 15


def test_killed_and_killed_again_before_the_next_step(world: World, site: Site) -> None:
    """No kill undoes what was done: a state's work is all that must fit between two of them."""
    before = world.used["nova", "nova/database"]
    for _round in range(ROUNDS):
        world.left = 3
        try:
            rotate(site, "nova/database")
        except Killed:
            world.check()
        else:
            break
    else:
        pytest.fail("the rotation never came to its end")
    assert settled(world.values("nova"))
    assert before not in world.held["nova/database"]


def test_an_interrupted_one_waits_while_another_is_rotated(world: World, site: Site) -> None:
    world.left = 4
    with pytest.raises(Killed):
        rotate(site, "nova/queue")
    world.left = -1
    rotate(site, "cinder/queue")
    assert settled(world.values("cinder"))
    assert not settled(world.values("nova"))
    assert rotate(site, "nova/queue").resumed == ["nova/queue"]
    assert settled(world.values("nova"))


def test_keys_turn_once_even_when_killed(world: World, site: Site) -> None:
    before = world.values("keystone")
    world.left = 1
    with pytest.raises(Killed):
        rotate(site, "keystone/fernet")
    world.left = -1
    assert rotate(site, "keystone/fernet").resumed == ["keystone/fernet"]
    after = world.values("keystone")
    assert after["fernet_1"] == before["fernet_0"]
    assert after["fernet_former"] == before["fernet_1"], "tokens of before are still read"
    rotate(site, "keystone/credential")
    after = world.values("keystone")
    assert after["credential_1"] == before["credential_0"]
    assert before["credential_1"] not in after.values(), "nothing is encrypted with it any more"
    assert vault.ensure_secrets(world.place) == ()


def test_shared_values_are_replaced(world: World, site: Site) -> None:
    before = {path: world.values(path.partition("/")[0]) for path in ("nova/metadata", "deployer/identity")}
    for path, values in before.items():
        rotate(site, path)
        component, _slash, name = path.partition("/")
        assert world.values(component)[name] != values[name]
        assert settled(world.values(component))


@pytest.mark.parametrize("role", ["host-ctl1", "service-barbican-ctl1"])
def test_a_machines_former_login_is_refused(world: World, site: Site, role: str) -> None:
    host, component = "ctl1", "barbican" if "barbican" in role else "certificates"
    world.log_in(host, component)
    rotation = Rotation(world.place, catalogue.load())
    asking = client(world.place, world.place.nodes[0], login.token_of(world.place, "ansible"))
    role_id = asking.read(f"auth/approle/role/{role}/role-id")["data"]["role_id"]
    world.left = 1
    with pytest.raises(Killed):
        rotate(site, f"logins/{role}")
    assert all(accepts(world.place, role_id, one) for one in world.machines[role]), "nothing is lost"
    world.left = -1
    rotate(site, f"logins/{role}")
    *former, new = world.machines[role]
    assert len(former) == 2
    assert not [one for one in former if accepts(world.place, role_id, one)]
    assert accepts(world.place, role_id, new)
    assert len(rotation.accessors(Login(role, host))) == 1


def test_this_machines_own_login(world: World, site: Site) -> None:
    former = durable.read_json(world.place.folder / DEPLOYER) or {}
    rotate(site, "logins/deployer")
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


def test_what_is_not_deployed_yet_is_not_rotated(place: Place) -> None:
    with pytest.raises(SocleError, match="run `socle deploy`") as caught:
        Rotation(replace(place, people={"zoe": ("operator",)}), catalogue.load())
    assert caught.value.exit_code == ExitCode.PREREQUISITE


def test_nobody_else_may_do_it(place: Place) -> None:
    rotating = client(place, place.nodes[0], login.token_of(place, "rotation"))
    for method, path, body in [
        ("put", "auth/approle/role/host-ctl1/secret-id", {}),
        ("put", "auth/approle/role/ansible/secret-id", {}),
        ("get", "auth/approle/role/host-ctl1/role-id", None),
        ("delete", "kv/metadata/services/nova", None),
        ("get", "kv/data/tenants/210000014", None),
    ]:
        answer = rotating.adapter.session.request(
            method,
            f"{place.nodes[0].url}/v1/{path}",
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
