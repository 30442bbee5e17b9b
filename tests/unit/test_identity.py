"""The module that fills Keystone: makes what is missing, corrects what differs, then changes nothing."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from socle import catalogue
from socle.paths import project_root

PASSWORD, REGION = "root-secret", "lab"
SERVICE = {"name": "nova", "type": "compute", "description": "Servers"}
URLS = {"public": "https://p:1", "internal": "https://i:1", "admin": "https://i:1"}


def load(path: str) -> ModuleType:
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
        self.passwords = {"admin": PASSWORD}
        self.held: dict[tuple[str, str], set[str]] = {}
        admin = {"id": "u0", "name": "admin", "enabled": True, "options": {}}
        roles = [
            {"id": f"r-{name}", "name": name} for name in ("admin", "manager", "member", "reader", "service")
        ]
        self.entries: dict[str, list[dict[str, Any]]] = {
            "regions": [],
            "projects": [],
            "services": [],
            "endpoints": [],
            "users": [admin],
            "roles": roles,
        }

    def login(self, name: str, password: str, scope: Any = None) -> str:
        self.logins += 1
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
            return None, {kind: self.entries[kind]}
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


def ensure(cloud: Cloud, *, check: bool = False, former: tuple[str, ...] = (), **changed: Any) -> list[str]:
    account = {"name": "nova", "password": "nova-secret", "roles": ["admin", "service"], **changed}
    wanted = {
        "password": PASSWORD,
        "region": REGION,
        "accounts": [account],
        "former": list(former),
        "services": [{**SERVICE, **URLS}],
    }
    lines: list[str] = cloud.module.ensure(SimpleNamespace(params=wanted, check_mode=check), cloud)
    return lines


def test_a_second_run_changes_nothing_and_asks_no_account_to_log_in(cloud: Cloud) -> None:
    assert "user nova" in ensure(cloud)
    logins = cloud.logins
    assert ensure(cloud) == []
    assert cloud.logins == logins + 1  # admin alone


def test_everything_is_there_after_the_first_run(cloud: Cloud) -> None:
    ensure(cloud)
    assert [region["id"] for region in cloud.entries["regions"]] == [REGION]
    assert {e["interface"]: e["url"] for e in cloud.entries["endpoints"]} == URLS
    assert list(cloud.held.values()) == [{"r-admin", "r-service"}]
    assert cloud.passwords["nova"] == "nova-secret"
    assert all(user["options"]["ignore_lockout_failure_attempts"] for user in cloud.entries["users"])


def test_a_retired_account_goes_once_and_the_other_stays(cloud: Cloud) -> None:
    ensure(cloud)
    ensure(cloud, name="nova-b")
    assert ensure(cloud, name="nova-b", former=("nova",)) == ["no user nova"]
    assert {user["name"] for user in cloud.entries["users"]} == {"admin", "nova-b"}
    assert ensure(cloud, name="nova-b", former=("nova",)) == []


def test_check_mode_says_what_it_would_do_and_does_nothing(cloud: Cloud) -> None:
    assert "endpoint nova public" in ensure(cloud, check=True)
    assert cloud.entries["users"] == [cloud.of("users", "u0")]
    assert not any(cloud.entries[kind] for kind in ("regions", "projects", "services", "endpoints"))
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
    assert cloud.logins == logins + 2


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
        (lambda cloud: cloud.entries["users"][1].update(enabled=False), "user nova enabled"),
        (lambda cloud: cloud.entries["users"][1].update(options={}), "user nova is never locked out"),
        (lambda cloud: next(iter(cloud.held.values())).discard("r-admin"), "role admin to user nova"),
        (lambda cloud: next(iter(cloud.held.values())).add("r-member"), "role member from user nova"),
    ],
)
def test_what_somebody_changed_is_put_right(cloud: Cloud, spoil: Any, line: str) -> None:
    ensure(cloud)
    spoil(cloud)
    assert ensure(cloud) == [line]
    assert ensure(cloud) == []


def test_an_unknown_admin_is_bootstrapped(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.passwords["admin"] = "before"
    monkeypatch.setattr(
        cloud.module, "bootstrap", lambda password, _region: cloud.passwords.update(admin=password)
    )
    assert ensure(cloud)[0] == "admin, by keystone-manage bootstrap"
    assert ensure(cloud) == []


def test_filters_take_accounts_and_services_from_the_catalogue() -> None:
    filters = load("plugins/filter/identity.py").FilterModule().filters()
    entries = catalogue.load().model_dump(mode="json", by_alias=True)["components"]
    users = filters["identity_users"](entries)
    assert {"nova", "neutron", "cinder", "glance", "placement", "barbican"} == set(users)
    logins = {
        name: {"accepted": [{"name": name, "password": "x"}], "refused": [f"{name}-b"]} for name in users
    }
    accounts = {a["name"]: a["roles"] for a in filters["identity_accounts"](entries, logins)}
    assert filters["identity_former"](logins)[0].endswith("-b")
    assert accounts["glance"] == ["service"]
    assert accounts["nova"] == ["admin", "service"]
    urls = {name: {"public": f"https://p/{name}", "internal": f"https://i/{name}"} for name in entries}
    nova = next(s for s in filters["identity_services"](entries, urls) if s["name"] == "nova")
    assert nova["public"] == "https://p/nova/v2.1"
    assert nova["admin"] == nova["internal"] == "https://i/nova/v2.1"
