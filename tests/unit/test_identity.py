"""The module that fills Keystone: makes what is missing, corrects what differs, then changes nothing."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from socle import catalogue
from socle.catalogue.accounts import FACTORS, ROLES, roles_of
from socle.paths import project_root

PASSWORD, REGION, PROVIDER = "deployer-secret", "lab", "provider"
SERVICE = {"name": "nova", "type": "compute", "description": "Servers"}
URLS = {"public": "https://p:1", "internal": "https://i:1", "admin": "https://i:1"}


def load(path: str) -> ModuleType:
    keystone = "ansible.module_utils.keystone"
    if keystone not in sys.modules and "module_utils" not in path:
        sys.modules[keystone] = load("plugins/module_utils/keystone.py")
    spec = importlib.util.spec_from_file_location(Path(path).stem, project_root() / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Cloud:
    """What Keystone keeps, and the part of its API that the module uses."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.ids, self.logins = module, itertools.count(1), 0
        self.passwords = {"deployer": PASSWORD}
        self.held: dict[tuple[str, str], set[str]] = {}
        admin = {"id": "u0", "name": "admin", "domain_id": "default", "enabled": True, "options": {}}
        deployer = {"id": "u1", "name": "deployer", "domain_id": "d1", "enabled": True, "options": {}}
        roles = [
            {"id": f"r-{name}", "name": name} for name in ("admin", "manager", "member", "reader", "service")
        ]
        self.entries: dict[str, list[dict[str, Any]]] = {
            "regions": [],
            "domains": [{"id": "default", "name": "Default"}, {"id": "d1", "name": PROVIDER}],
            "projects": [{"id": "p1", "name": PROVIDER, "domain_id": "d1"}],
            "services": [],
            "endpoints": [],
            "users": [admin, deployer],
            "roles": roles,
        }

    def login(self, name: str, password: str, domain: dict[str, str], project: str | None = None) -> str:
        self.logins += 1
        asked = next((d["id"] for d in self.entries["domains"] if domain.items() <= d.items()), None)
        there = [u for u in self.entries["users"] if (u["name"], u["domain_id"]) == (name, asked)]
        if not there or not there[0]["enabled"]:
            raise self.module.RefusedError("POST", "/auth/tokens", 401, "")
        if self.passwords.get(name) != password:
            raise self.module.RefusedError("POST", "/auth/tokens", 401, "")
        return "token"

    def get(self, path: str) -> dict[str, Any]:
        return self.call("GET", path)[1]

    def call(self, method: str, path: str, body: Any = None) -> tuple[Any, dict[str, Any]]:
        parts = urlsplit(path).path.strip("/").split("/")
        assert set(parse_qs(urlsplit(path).query)) <= {"domain_id"}
        if len(parts) > 2:
            return None, self.grants(method, parts)
        kind = parts[0]
        if method == "GET":
            asked = parse_qs(urlsplit(path).query).get("domain_id")
            return None, {kind: [e for e in self.entries[kind] if not asked or e["domain_id"] in asked]}
        fields = dict((body or {}).get(kind[:-1], {}))
        if "password" in fields:
            name = fields.get("name") or self.of(kind, parts[1])["name"]
            self.passwords[name] = fields.pop("password")
        if method == "DELETE":
            self.entries[kind].remove(self.of(kind, parts[1]))
            return None, {}
        if method == "PATCH":
            self.of(kind, parts[1]).update(fields)
            return None, {}
        entry = {"id": f"{kind}-{next(self.ids)}", "enabled": True, **fields}
        self.entries[kind].append(entry)
        return None, {kind[:-1]: entry}

    def of(self, kind: str, identifier: str) -> dict[str, Any]:
        return next(entry for entry in self.entries[kind] if entry["id"] == identifier)

    def grants(self, method: str, parts: list[str]) -> dict[str, Any]:
        held = self.held.setdefault((parts[1], parts[3]), set())
        if method == "PUT":
            held.add(parts[5])
        elif method == "DELETE":
            held.remove(parts[5])
        return {"roles": [self.of("roles", role) for role in sorted(held)]}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    identity = load("plugins/modules/identity.py")
    monkeypatch.setattr(identity, "REMEMBERED", str(tmp_path / "identity.json"))
    return identity


@pytest.fixture
def cloud(module: ModuleType) -> Cloud:
    return Cloud(module)


DEPLOYER = {"name": "deployer", "password": PASSWORD, "roles": ["admin"], "provider": True}


def ensure(
    cloud: Cloud,
    *,
    check: bool = False,
    former: tuple[str, ...] = (),
    deployers: tuple[dict[str, Any], ...] = (DEPLOYER,),
    people: dict[str, list[str]] | None = None,
    **changed: Any,
) -> list[str]:
    account = {"name": "nova", "password": "nova-secret", "roles": ["admin", "service"], "provider": False}
    wanted = {
        "provider": PROVIDER,
        "deployer": deployers[0]["name"],
        "region": REGION,
        "roles": ["auditor"],
        "accounts": [account | changed, *deployers],
        "former": [{"name": name, "provider": name.startswith("deployer")} for name in former],
        "people": people or {},
        "factors": dict(FACTORS),
        "services": [{**SERVICE, **URLS}],
    }
    lines: list[str] = cloud.module.ensure(SimpleNamespace(params=wanted, check_mode=check), cloud)
    return lines


def test_a_second_run_changes_nothing_and_asks_no_account_to_log_in(cloud: Cloud) -> None:
    assert "user nova" in ensure(cloud)
    logins = cloud.logins
    assert ensure(cloud) == []
    assert cloud.logins == logins + 1  # the deployer alone


def test_everything_is_there_after_the_first_run(cloud: Cloud) -> None:
    ensure(cloud)
    assert [region["id"] for region in cloud.entries["regions"]] == [REGION]
    assert {e["interface"]: e["url"] for e in cloud.entries["endpoints"]} == URLS
    assert list(cloud.held.values()) == [{"r-admin", "r-service"}, {"r-admin"}]
    assert "auditor" in {role["name"] for role in cloud.entries["roles"]}
    assert cloud.passwords["nova"] == "nova-secret"
    machines = [user for user in cloud.entries["users"] if user["name"] != "admin"]
    assert all(user["options"] == cloud.module.OPTIONS for user in machines)


def test_the_account_that_keystone_was_begun_with_is_closed_once(cloud: Cloud) -> None:
    assert "user admin is closed" in ensure(cloud)
    assert not cloud.of("users", "u0")["enabled"]
    cloud.of("users", "u0")["enabled"] = True
    assert ensure(cloud) == ["user admin is closed"]


def enrolled(cloud: Cloud, name: str) -> dict[str, Any]:
    user = {"id": f"u-{name}", "name": name, "domain_id": "d1", "enabled": True, "options": dict(FACTORS)}
    cloud.entries["users"].append(user)
    return user


def test_people_have_the_roles_of_their_duty_and_both_factors(cloud: Cloud) -> None:
    people = {"paul": ["admin"], "rita": ["reader"], "nils": ["admin"]}
    ensure(cloud, people=people)
    paul = enrolled(cloud, "paul")
    assert ensure(cloud, people=people) == ["role admin to user paul"]
    paul["options"] = {"multi_factor_auth_enabled": False}
    assert ensure(cloud, people=people) == ["user paul opens by two factors"]
    assert ensure(cloud, people=people) == []
    assert ensure(cloud, people={"paul": ["reader"]}) == [
        "role admin from user paul",
        "role reader to user paul",
    ]


def test_who_left_is_gone_and_nobody_else(cloud: Cloud) -> None:
    second = {**DEPLOYER, "name": "deployer-b", "password": "other"}
    ensure(cloud, deployers=(DEPLOYER, second))
    for name in ("paul", "rita"):
        enrolled(cloud, name)
    lines = ensure(cloud, deployers=(second, DEPLOYER), people={"rita": []})
    assert lines == ["no user paul, who has no duty here"]
    assert "rita" in {user["name"] for user in cloud.entries["users"]}
    assert ensure(cloud, deployers=(second, DEPLOYER), people={"rita": []}) == []


def test_duties_give_roles() -> None:
    assert roles_of(["operator", "custodian"]) == ("admin",)
    assert roles_of(["auditor"]) == ("auditor", "reader")
    assert roles_of(["custodian", "crypto-officer", "network-operator"]) == ()


def test_the_deployer_changes_for_its_second_account(cloud: Cloud) -> None:
    second = {**DEPLOYER, "name": "deployer-b", "password": "other"}
    ensure(cloud)
    assert ensure(cloud, deployers=(DEPLOYER, second)) == ["user deployer-b", "role admin to user deployer-b"]
    assert ensure(cloud, deployers=(second, DEPLOYER)) == []
    assert ensure(cloud, deployers=(second,), former=("deployer",)) == ["no user deployer"]
    assert ensure(cloud, deployers=(second,), former=("deployer",)) == []


def test_a_retired_account_goes_once_and_the_other_stays(cloud: Cloud) -> None:
    ensure(cloud)
    ensure(cloud, name="nova-b")
    assert ensure(cloud, name="nova-b", former=("nova",)) == ["no user nova"]
    assert {user["name"] for user in cloud.entries["users"]} == {"admin", "deployer", "nova-b"}
    assert ensure(cloud, name="nova-b", former=("nova",)) == []


def test_check_mode_says_what_it_would_do_and_does_nothing(cloud: Cloud) -> None:
    assert "endpoint nova public" in ensure(cloud, check=True)
    assert cloud.of("users", "u0")["enabled"]
    assert {user["id"] for user in cloud.entries["users"]} == {"u0", "u1"}
    assert not any(cloud.entries[kind] for kind in ("regions", "services", "endpoints"))
    assert not Path(cloud.module.REMEMBERED).exists()


def test_a_new_password_reaches_keystone(cloud: Cloud) -> None:
    ensure(cloud)
    assert ensure(cloud, password="rotated") == ["password of user nova"]
    assert cloud.passwords["nova"] == "rotated"
    assert ensure(cloud, password="rotated") == []


def test_a_lost_record_costs_a_login_not_a_change(cloud: Cloud) -> None:
    ensure(cloud)
    Path(cloud.module.REMEMBERED).unlink()
    logins = cloud.logins
    assert ensure(cloud) == []
    assert cloud.logins == logins + 3


def test_the_record_holds_no_password_and_is_readable_by_root_alone(cloud: Cloud) -> None:
    ensure(cloud)
    record = Path(cloud.module.REMEMBERED)
    assert "secret" not in record.read_text()
    assert record.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda cloud: cloud.entries["endpoints"][0].update(url="https://elsewhere"), "endpoint nova public"),
        (lambda cloud: cloud.entries["endpoints"].pop(), "endpoint nova admin"),
        (lambda cloud: cloud.entries["services"][0].update(description="?"), "service nova"),
        (lambda cloud: cloud.entries["users"][2].update(enabled=False), "user nova enabled"),
        (lambda cloud: cloud.entries["users"][2].update(options={}), "user nova does not stop by itself"),
        (lambda cloud: next(iter(cloud.held.values())).discard("r-admin"), "role admin to user nova"),
        (lambda cloud: next(iter(cloud.held.values())).add("r-member"), "role member from user nova"),
    ],
)
def test_what_somebody_changed_is_put_right(cloud: Cloud, spoil: Any, line: str) -> None:
    ensure(cloud)
    spoil(cloud)
    assert ensure(cloud) == [line]
    assert ensure(cloud) == []


@pytest.mark.parametrize("lost", ["password", "account", "domain", "disabled"])
def test_without_its_deployer_keystone_is_begun_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    ensure(cloud)
    asked = []

    def bootstrap(password: str, _region: str) -> None:
        asked.append(password)
        cloud.passwords["admin"] = password
        cloud.of("users", "u0")["enabled"] = True

    monkeypatch.setattr(cloud.module, "bootstrap", bootstrap)
    if lost == "password":
        cloud.passwords["deployer"] = "before"
    elif lost == "disabled":
        cloud.of("users", "u1")["enabled"] = False
    else:
        cloud.entries["users"].remove(cloud.of("users", "u1"))
    if lost == "domain":
        cloud.entries["domains"].pop()
        cloud.entries["projects"].pop(0)
    assert ensure(cloud, check=True) == ["user deployer, by keystone-manage bootstrap"]
    assert ensure(cloud)[0] == "user deployer, by keystone-manage bootstrap"
    assert ensure(cloud) == []
    assert not cloud.of("users", "u0")["enabled"], "it is open no longer than it takes"
    assert len(asked) == 1
    assert len(asked[0]) > 40


def test_filters_take_accounts_and_services_from_the_catalogue() -> None:
    filters = load("plugins/filter/identity.py").FilterModule().filters()
    entries = catalogue.load().model_dump(mode="json", by_alias=True)["components"]
    users = filters["identity_users"](entries)
    assert {"nova", "neutron", "cinder", "glance", "placement", "barbican"} == set(users)
    logins = {
        name: {"accepted": [{"name": name, "password": "x"}], "refused": [f"{name}-b"]} for name in users
    }
    own = {name: list(roles) for name, roles in ROLES.items()}
    logins |= {name: {"accepted": [{"name": name, "password": "x"}], "refused": []} for name in own}
    made = filters["identity_accounts"](entries, logins, own)
    assert {a["name"] for a in made if a["provider"]} == {"deployer", "auditor"}
    accounts = {a["name"]: a["roles"] for a in made}
    assert {"name": "nova-b", "provider": False} in filters["identity_former"](logins, own)
    assert accounts["glance"] == ["service"]
    assert accounts["nova"] == ["admin", "service"]
    urls = {name: {"public": f"https://p/{name}", "internal": f"https://i/{name}"} for name in entries}
    nova = next(s for s in filters["identity_services"](entries, urls) if s["name"] == "nova")
    assert nova["public"] == "https://p/nova/v2.1"
    assert nova["admin"] == nova["internal"] == "https://i/nova/v2.1"
