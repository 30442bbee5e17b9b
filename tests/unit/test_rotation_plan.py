"""Which steps a rotation has, what its states mean to those who read OpenBao, and what is not left out."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from socle import catalogue, credentials, openbao
from socle.catalogue.accounts import ROLES
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import load as load_site
from socle.vault import place_of
from socle.vault.rotation import changes
from socle.vault.rotation_plan import (
    Certify,
    Clear,
    Mark,
    NewCertificates,
    NewLogins,
    Play,
    Prove,
    ProveAuthorities,
    plan,
)
from socle.vault.rotation_targets import SERVERS, STAYS, Secret, Target, chosen, targets
from tests.unit.test_identity import load

ORDER = list(catalogue.load().components)
READING = {"keystone", "placement", "glance", "nova", "nova_compute"} | {
    "ovn_chassis",
    "neutron",
    "cinder",
    "barbican",
    "horizon",
}
MACROS = {
    "database": "database|database_url|coordination_url",
    "queue": "transport_url",
    "identity": "credentials|authtoken|service_user|key_manager",
}


@pytest.fixture(scope="module")
def known() -> dict[str, Target]:
    return targets(
        place_of(load_site(project_root() / "inventories/lab"), catalogue.load()), catalogue.load()
    )


def steps(known: dict[str, Target], *names: str, **states: Any) -> list[Any]:
    return plan([known[name] for name in names], states, ORDER)


def test_an_account_goes_through_all_states(known: dict[str, Target]) -> None:
    secret = known["nova/queue"]
    assert steps(known, "nova/queue") == [
        Mark((secret,), "staged"),
        Play(("rabbitmq",), "servers take the new beside the old"),
        Mark((secret,), "switched"),
        Play(("nova", "nova_compute"), "services change to the new", rolling=True),
        Mark((secret,), "retired"),
        Play(("rabbitmq",), "servers drop the old"),
        Prove((secret,)),
        Clear((secret,)),
    ]


def test_no_host_drops_an_authority_before_all_have_certificates_of_the_other(
    known: dict[str, Target],
) -> None:
    both = (known["ssh/users"], known["ssh/hosts"])
    found = steps(known, "ssh/users", "ssh/hosts")
    assert found == [
        Mark(both, "staged"),
        Play(("hardening",), "servers take the new beside the old"),
        Mark(both, "switched"),
        Certify(both),
        Mark(both, "retired"),
        Play(("hardening",), "servers drop the old"),
        ProveAuthorities(both),
        Clear(both),
    ]
    for left_out, state in ((1, "staged"), (3, "switched"), (5, "retired")):
        states = {"ssh/users": state, "ssh/hosts": state}
        assert plan(both, states, ORDER) == found[left_out:]  # type: ignore[arg-type]
    assert not [step for step in steps(known, "ssh/hosts") if isinstance(step, Play)]


@pytest.mark.parametrize(("state", "left_out"), [("staged", 1), ("switched", 3), ("retired", 5)])
def test_what_was_interrupted_goes_on_with_the_work_of_its_state(
    known: dict[str, Target], state: str, left_out: int
) -> None:
    again = plan([known["nova/queue"]], {"nova/queue": state}, ORDER)  # type: ignore[dict-item]
    assert again == steps(known, "nova/queue")[left_out:]


def test_all_at_once_run_each_role_once_for_each_state(known: dict[str, Target]) -> None:
    found = plan(known.values(), {"cinder/database": "retired"}, ORDER)
    plays = [step for step in found if isinstance(step, Play)]
    assert [play.roles for play in plays] == [
        ("hardening", "mariadb", "rabbitmq", "keystone"),
        tuple(role for role in ORDER if role in READING),
        ("hardening", "mariadb", "rabbitmq", "keystone"),
    ]
    assert [play.migrates for play in plays] == [False, True, False]
    assert isinstance(found[-2], NewLogins)
    assert isinstance(found[-1], NewCertificates)
    staged = next(step for step in found if isinstance(step, Mark))
    assert "cinder/database" not in {secret.path for secret in staged.secrets}


def test_a_name_stands_for_what_is_below_it(known: dict[str, Target]) -> None:
    assert [target.path for target in chosen("nova/database", known)] == ["nova/database"]
    assert {target.path for target in chosen("nova", known)} == {
        "nova/database",
        "nova/queue",
        "nova/identity",
        "nova/metadata",
    }
    assert len(chosen("certificates", known)) == len(load_site(project_root() / "inventories/lab").hosts)
    assert chosen(None, known) == list(known.values())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nova/datbase", "nothing is called nova/datbase; expected one of keystone/database"),
        ("ceph/cinder", "ceph/cinder is not rotated: the role of Ceph"),
        ("rabbitmq/cookie", "rabbitmq/cookie is not rotated: RabbitMQ would stop"),
    ],
)
def test_what_cannot_be_rotated_is_said_with_what_can(known: dict[str, Target], name: str, told: str) -> None:
    with pytest.raises(SocleError) as caught:
        chosen(name, known)
    assert str(caught.value).startswith(told)
    assert caught.value.exit_code == ExitCode.USAGE


def test_each_secret_of_the_catalogue_is_rotated_or_said_to_stay(known: dict[str, Target]) -> None:
    for component, entry in catalogue.load().components.items():
        for name in entry.secrets:
            ring = name.removesuffix("_0").removesuffix("_1")
            rotated = f"{component}/{name}" in known or f"{component}/{ring}" in known
            assert rotated is not (name in STAYS or component == "ceph"), f"{component}/{name}"


def test_readers_are_those_whose_files_name_the_secret(known: dict[str, Target]) -> None:
    read: dict[str, set[str]] = {}
    for role in ORDER:
        for path in _named(project_root() / "roles" / role):
            read.setdefault(path, set()).add(role)
    for target in known.values():
        if isinstance(target, Secret) and target.technique in {"account", "value"}:
            own = set() if target.component in ROLES else {target.component}
            assert set(target.readers) == read.get(target.path, set()) - set(SERVERS.values()) | own, target


def _named(folder: Path) -> set[str]:
    """Secrets that a role's files name, as themselves or by the macros that all services share."""
    texts = [p.read_text("utf-8") for p in folder.rglob("*") if p.is_file() and p.suffix != ".md"]
    shared = project_root() / "templates"
    texts += [
        (shared / name).read_text("utf-8")
        for text in list(texts)
        for name in re.findall(r"(?:include|import) '(openstack/nova/[^']+)'", text)
    ]
    whole = "\n".join(texts)
    found = set(re.findall(r"(?:secret\(|lookup\('(?:secret|account)', )'([a-z_]+/[a-z_]+)'", whole))
    for kind, macros in MACROS.items():
        found |= {f"{name}/{kind}" for name in re.findall(rf"openstack\.(?:{macros})\('([a-z_]+)'", whole)}
    return found


def applied(values: dict[str, Any], secret: Secret, state: str, new: str = "new") -> dict[str, Any]:
    """What OpenBao holds after a change (RFC 7396)."""
    merged = {**values, **changes(secret, state, values, lambda: new)}  # type: ignore[arg-type]
    return {key: value for key, value in merged.items() if value is not None}


def test_what_servers_accept_and_services_use_in_each_state(known: dict[str, Target]) -> None:
    secret = known["nova/database"]
    assert isinstance(secret, Secret)
    view = lambda values: (  # noqa: E731
        [a.name for a in credentials.accepted(values, "nova", "database")],
        credentials.refused(values, "nova", "database"),
    )
    values: dict[str, Any] = {"database": "old"}
    assert view(values) == (["nova"], ())
    values = applied(values, secret, "staged")
    assert values["database"] == "old"
    assert view(values) == (["nova", "nova-b"], ())
    values = applied(values, secret, "switched")
    assert credentials.account(values, "nova", "database") == credentials.Account("nova-b", "new")
    assert view(values) == (["nova-b", "nova"], ())
    values = applied(values, secret, "retired")
    assert view(values) == (["nova-b"], ("nova",))
    cleared = {"database": "new", "database_account": "nova-b"}
    assert view(cleared) == view(values), "a deployment afterwards changes nothing"


def test_a_ring_turns_as_keystone_says(known: dict[str, Target]) -> None:
    secret = known["keystone/fernet"]
    assert isinstance(secret, Secret)
    values: dict[str, Any] = {"fernet_0": "s", "fernet_1": "p"}
    assert credentials.ring(values, "fernet") == {0: "s", 1: "p"}
    values = applied(values, secret, "switched", "n")
    assert credentials.ring(values, "fernet") == {0: "n", 1: "p", 2: "s"}, "the one that waited writes"
    values = applied(values, secret, "switched", "m")
    assert credentials.ring(values, "fernet") == {0: "m", 2: "s", 3: "n"}
    assert credentials.gone(values, "fernet") == (1,)
    assert credentials.ring({**values, "fernet_rotation": "retired"}, "fernet") == {0: "m", 3: "n"}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What OpenBao has for each component."""
    values: dict[str, Any] = {}
    monkeypatch.delenv("SOCLE_PLAN_WITHOUT_VAULT", raising=False)
    monkeypatch.setattr(
        openbao, "read", lambda path: {"data": {"data": values[path.rpartition("/")[2]]}} if values else {}
    )
    return values


def looked_up(plugin: str, term: str) -> Any:
    module: ModuleType = load(f"plugins/lookup/{plugin}.py")
    return module.LookupModule().run([term])[0]


def test_look_ups_say_what_roles_render(kept: dict[str, Any]) -> None:
    kept["nova"] = {
        "queue": "new",
        "queue_account": "nova-b",
        "queue_other": "old",
        "queue_rotation": "retired",
    }
    found = looked_up("account", "nova/queue")
    assert (found["name"], found["password"]) == ("nova-b", "new")
    assert found["accepted"] == [{"name": "nova-b", "password": "new"}]
    assert found["refused"] == ["nova"]
    provider = {"domain": "provider", "accounts": {"deployer": ["admin"]}}
    logins = load("plugins/filter/rotation.py").account_logins(["nova/queue"], [found], provider)
    assert logins == {
        "accepted": [{"kind": "queue", "name": "nova-b", "password": "new"}],
        "refused": [{"kind": "queue", "name": "nova", "password": "old"}],
    }
    proof = load("plugins/filter/rotation.py").account_logins(["deployer/identity"], [found], provider)
    assert {login["domain"] for login in proof["accepted"] + proof["refused"]} == {"provider"}
    kept["keystone"] = {"fernet_0": "n", "fernet_1": "s", "fernet_former": "p", "fernet_number": "3"}
    ring = looked_up("key_ring", "keystone/fernet")
    files = load("plugins/filter/identity.py").key_files(ring, "/keys")
    assert {f["path"]: f.get("content") for f in files} == {
        "/keys/0": "n",
        "/keys/2": "p",
        "/keys/3": "s",
        "/keys/1": None,
    }
    assert [f["path"] for f in files if f.get("state") == "absent"] == ["/keys/1"]


@pytest.mark.parametrize("plugin", ["account", "key_ring"])
def test_a_look_up_of_what_is_not_there_says_what_to_run(kept: dict[str, Any], plugin: str) -> None:
    with pytest.raises(Exception, match=r"is not in OpenBao.*`socle deploy`"):
        looked_up(plugin, "nova/queue")


def test_a_plan_before_the_first_deployment_needs_no_openbao(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCLE_PLAN_WITHOUT_VAULT", "1")
    assert looked_up("account", "nova/queue")["accepted"][0]["name"] == "nova"
    assert set(looked_up("key_ring", "keystone/fernet")["keys"]) == {"0", "1"}


def test_a_proof_tells_refused_from_away(monkeypatch: pytest.MonkeyPatch) -> None:
    logins = load("plugins/modules/logins.py")
    held = {"nova-b": "new"}
    monkeypatch.setitem(logins.TRIED, "queue", lambda _servers, name, word, _domain: held.get(name) == word)
    new, old = ({"kind": "queue", "name": n, "password": p} for n, p in (("nova-b", "new"), ("nova", "old")))
    assert logins.disproved({}, [new], True) == []
    assert logins.disproved({}, [old], False) == []
    held["nova"] = "old"
    assert logins.disproved({}, [old], False) == ["queue still accepts nova"]
    held.clear()
    assert logins.disproved({}, [new], True) == ["queue refuses nova-b"]
    with pytest.raises(OSError, match="refused"):
        logins.identity({"identity": "http://127.0.0.1:9"}, "nova", "old")
