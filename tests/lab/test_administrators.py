"""The provider's people at Keystone: both factors or nothing, locked out by guesses, gone when they leave."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from socle import catalogue, vault
from socle.catalogue.accounts import DOMAIN, FACTORS
from socle.paths import project_root
from socle.vault import custody
from tests.lab.deployed import ROOT, SOCLE, Lab
from tests.lab.factors import code, log_in

pytestmark = pytest.mark.lab

ADMINISTRATOR, AUDITOR, CUSTODIAN = "denis.operator", "carole.custodian", "alice.custodian"
CREATED, UNAUTHORIZED = 201, 401
CONTROLLER = "ctl1"
GUIDE = project_root() / "docs/operator/break-glass.md"


def typed(text: str, *arguments: str) -> str:
    """A command of which somebody types the standard input; the custodians' parts are played."""
    done = subprocess.run(
        [*SOCLE, *arguments], input=text, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def enrolled(login: str, password: str) -> str:
    """Enrol a person; the seed of their second factor in base32."""
    said = typed(f"{password}\n", "cloud", "enrol", login)
    assert password not in said
    found = re.search(r"[?&]secret=([A-Z2-7]+)", said)
    assert found, "the authenticator's address is shown"
    return found[1]


def setting(lab: Lab, name: str) -> int:
    """A number of Keystone's configuration."""
    found = re.search(rf"^{name} *= *(\d+)$", lab.on(CONTROLLER, "cat /etc/keystone/keystone.conf"), re.M)
    assert found, name
    return int(found[1])


@pytest.fixture(scope="module")
def password() -> str:
    return secrets.token_urlsafe(24)


@pytest.fixture(scope="module")
def seed(lab: Lab, password: str) -> str:
    return enrolled(ADMINISTRATOR, password)


@pytest.fixture
def user(cloud: Any) -> Iterator[Callable[..., Any]]:
    """Makes throw-away accounts in the provider's domain."""
    made, domain = [], cloud.identity.find_domain(DOMAIN).id

    def make(password: str, **fields: Any) -> Any:
        body = {"name": f"test-{secrets.token_hex(4)}", "domain_id": domain, "password": password, **fields}
        answer = cloud.identity.post("/users", json={"user": body})
        if answer.status_code == CREATED:
            made.append(answer.json()["user"]["id"])
        return answer

    yield make
    for number in made:
        cloud.identity.delete_user(number, ignore_missing=True)


def test_both_factors_open_and_give_the_duty(lab: Lab, cloud: Any, password: str, seed: str) -> None:
    answer = log_in(lab, ADMINISTRATOR, DOMAIN, password, code(seed))
    assert answer.status_code == CREATED, answer.text
    token = answer.json()["token"]
    assert {role["name"] for role in token["roles"]} >= {"admin"}
    assert sorted(token["methods"]) == ["password", "totp"]
    (one,) = cloud.identity.users(name=ADMINISTRATOR)
    options = cloud.identity.get(f"/users/{one.id}").json()["user"]["options"]
    assert FACTORS.items() <= options.items()


@pytest.mark.parametrize("factors", ["password", "code", "wrong code", "wrong password", "old code"])
def test_less_than_both_factors_opens_nothing(lab: Lab, password: str, seed: str, factors: str) -> None:
    good = code(seed)
    wrong = f"{(int(good) + 1) % 10**6:06}"
    given: dict[str, tuple[str | None, str | None]] = {
        "password": (password, None),
        "code": (None, good),
        "wrong code": (password, wrong if wrong != code(seed, -1) else code(seed, 9)),
        "wrong password": (password + "x", good),
        "old code": (password, code(seed, -3)),
    }
    answer = log_in(lab, ADMINISTRATOR, DOMAIN, *given[factors])
    assert answer.status_code == UNAUTHORIZED
    assert "X-Subject-Token" not in answer.headers


def test_an_application_credential_does_not_stand_for_a_factor(lab: Lab, password: str, seed: str) -> None:
    answer = log_in(lab, ADMINISTRATOR, DOMAIN, password, code(seed))
    mine = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    base, number = answer.request.url.removesuffix("/auth/tokens"), answer.json()["token"]["user"]["id"]
    body = {"application_credential": {"name": secrets.token_hex(4)}}
    made = requests.post(
        f"{base}/users/{number}/application_credentials",
        json=body,
        headers=mine,
        timeout=30,
        verify=str(lab.ca_file),
    )
    assert made.status_code == CREATED, made.text
    known = {key: made.json()["application_credential"][key] for key in ("id", "secret")}
    identity = {"methods": ["application_credential"], "application_credential": known}
    refused = requests.post(
        f"{base}/auth/tokens", json={"auth": {"identity": identity}}, timeout=30, verify=str(lab.ca_file)
    )
    assert refused.status_code == UNAUTHORIZED


def test_a_new_enrolment_ends_what_was_before(lab: Lab, cloud: Any) -> None:
    first, second = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    before = enrolled(AUDITOR, first)
    token = log_in(lab, AUDITOR, DOMAIN, first, code(before)).headers["X-Subject-Token"]
    after = enrolled(AUDITOR, second)
    assert log_in(lab, AUDITOR, DOMAIN, first, code(after)).status_code == UNAUTHORIZED
    assert log_in(lab, AUDITOR, DOMAIN, second, code(before)).status_code == UNAUTHORIZED
    answer = log_in(lab, AUDITOR, DOMAIN, second, code(after))
    assert {role["name"] for role in answer.json()["token"]["roles"]} == {"auditor", "reader"}
    gone = cloud.identity.get("/auth/tokens", headers={"X-Subject-Token": token})
    assert gone.status_code == requests.codes.not_found


def test_a_weak_password_is_refused(user: Callable[..., Any]) -> None:
    assert user("x" * 14).status_code == requests.codes.bad_request
    assert user("x" * 15).status_code == CREATED


def test_guesses_lock_an_account_for_a_while(lab: Lab, user: Callable[..., Any], password: str) -> None:
    attempts, seconds = setting(lab, "lockout_failure_attempts"), setting(lab, "lockout_duration")
    found = user(password).json()["user"]
    name, shift = found["name"], seconds - 15
    assert log_in(lab, name, DOMAIN, password).status_code == CREATED
    for _guess in range(attempts):
        assert log_in(lab, name, DOMAIN, "wrong").status_code == UNAUTHORIZED
    # What is left of the time is waited for; the rest is taken off in the account's own record.
    earlier = f"failed_auth_at = failed_auth_at - INTERVAL {shift} SECOND"
    whose = f'user_id = "{found["id"]}"'
    lab.on(CONTROLLER, f"mariadb keystone -e 'UPDATE local_user SET {earlier} WHERE {whose}'")  # noqa: S608
    assert log_in(lab, name, DOMAIN, password).status_code == UNAUTHORIZED, "locked: the right one is refused"
    time.sleep(20)
    assert log_in(lab, name, DOMAIN, password).status_code == CREATED


def test_guesses_do_not_lock_a_machine_out(lab: Lab, user: Callable[..., Any], password: str) -> None:
    options = {"ignore_lockout_failure_attempts": True}
    name = user(password, options=options).json()["user"]["name"]
    for _guess in range(setting(lab, "lockout_failure_attempts") + 1):
        assert log_in(lab, name, DOMAIN, "wrong").status_code == UNAUTHORIZED
    assert log_in(lab, name, DOMAIN, password).status_code == CREATED


def test_a_deployment_removes_who_left_and_closes_admin(
    lab: Lab, cloud: Any, user: Callable[..., Any], password: str, seed: str
) -> None:
    leaver = "eric.operator"
    assert leaver in lab.site.people.leavers
    number = user(password, name=leaver).json()["user"]["id"]
    token = log_in(lab, leaver, DOMAIN, password).headers["X-Subject-Token"]
    (admin,) = [u for u in cloud.identity.users(name="admin") if u.domain_id == "default"]
    cloud.identity.patch(f"/users/{admin.id}", json={"user": {"enabled": True}}).raise_for_status()
    lab.socle("deploy", "--only", "keystone")
    assert log_in(lab, leaver, DOMAIN, password).status_code == UNAUTHORIZED
    assert cloud.identity.get(f"/users/{number}").status_code == requests.codes.not_found
    gone = cloud.identity.get("/auth/tokens", headers={"X-Subject-Token": token})
    assert gone.status_code == requests.codes.not_found
    assert not cloud.identity.get_user(admin.id).is_enabled
    assert log_in(lab, ADMINISTRATOR, DOMAIN, password, code(seed)).status_code == CREATED


def test_the_custodians_open_admin_for_a_while(lab: Lab, cloud: Any) -> None:
    """The guide's lines, with the lab's people."""
    (block,) = re.findall(r"```sh\n(socle cloud break-glass.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
    opening, reading, ending = block.replace("elise.fontaine", CUSTODIAN).strip().splitlines()
    place = vault.place_of(lab.site, catalogue.load())
    command, _arrow, file = opening.partition(" > ")
    message = typed("", *command.split()[1:])
    assert reading == f"gpg --decrypt {file}"
    password = custody.keyring(place, CUSTODIAN).decrypt(message).strip()
    for _guess in range(setting(lab, "lockout_failure_attempts") + 1):
        assert log_in(lab, "admin", "Default", "wrong").status_code == UNAUTHORIZED
    opened = log_in(lab, "admin", "Default", password)
    assert opened.status_code == CREATED, "guesses of strangers do not lock it"
    clock = lab.on(CONTROLLER, "systemctl list-timers socle-keystone-admin.timer --output=json")
    left = json.loads(clock)[0]["next"] / 1e6 - time.time()
    assert 29 * 60 - 120 < left <= 30 * 60
    typed("", *ending.split()[1:])
    assert log_in(lab, "admin", "Default", password).status_code == UNAUTHORIZED
    given = {"X-Subject-Token": opened.headers["X-Subject-Token"]}
    assert cloud.identity.get("/auth/tokens", headers=given).status_code == requests.codes.not_found
    assert (
        json.loads(lab.on(CONTROLLER, "systemctl list-timers socle-keystone-admin.timer --output=json")) == []
    )


def test_the_clock_closes_admin(lab: Lab) -> None:
    place = vault.place_of(lab.site, catalogue.load())
    message = typed("", "cloud", "break-glass", CUSTODIAN, "--minutes", "1")
    password = custody.keyring(place, CUSTODIAN).decrypt(message).strip()
    assert log_in(lab, "admin", "Default", password).status_code == CREATED
    deadline = time.monotonic() + 90
    while log_in(lab, "admin", "Default", password).status_code == CREATED:
        assert time.monotonic() < deadline, "the minute is over"
        time.sleep(3)
