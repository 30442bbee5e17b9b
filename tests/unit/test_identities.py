"""Who may do what in OpenBao: every person and machine against every path, on a real server."""

from __future__ import annotations

import base64
import hmac
import itertools
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from socle import vault
from socle.errors import ExitCode, SocleError
from socle.vault import auditor, custody, duties, people, policies, qrcode, quorum
from socle.vault.api import client
from socle.vault.place import Place
from tests.unit.openbao_server import begun

PASSWORD = "a horse in a field of clover"
PEOPLE = {
    "olga": ("crypto-officer", "custodian"),
    "paul": ("operator",),
    "rita": ("auditor",),
    "nils": ("custodian",),
}
SAMPLES = {"keys": "stack-one", "acl": "deployer", "audit-hash": "file", "role": "ansible", "users": "rita"}
"""What stands for the ``+`` after a path's word."""


def code(url: str, ahead: int = 0) -> str:
    """What an authenticator shows (RFC 6238 4.2, RFC 4226 5.3)."""
    fields = {key: value[0] for key, value in parse_qs(urlsplit(url).query).items()}
    secret = base64.b32decode(fields["secret"] + "=" * (-len(fields["secret"]) % 8))
    counter = struct.pack(">Q", int(time.time()) // int(fields["period"]) + ahead)
    mac = hmac.digest(secret, counter, fields["algorithm"].lower())
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


@dataclass(frozen=True)
class Cloud:
    """A prepared OpenBao, and everybody logged in."""

    place: Place
    urls: dict[str, str]
    tokens: dict[str, str]

    def as_(self, login: str) -> Any:
        """A client of a person."""
        return client(self.place, self.place.nodes[0], self.tokens[login])


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, bare):
        place = replace(bare, people=PEOPLE)
        vault.prepare(place)
        vault.stack_key(place, "one")
        shares = custody.shares_of(place)
        urls = {login: people.enrol(place, shares, login, PASSWORD).url for login in PEOPLE}
        tokens = {login: people.log_in(place, login, PASSWORD, code(urls[login])).token for login in PEOPLE}
        yield Cloud(place, urls, tokens)


def rules_of(place: Place, login: str) -> dict[str, dict[str, Any]]:
    """The rules of a person by path."""
    role_rules = duties.duties(place)
    return {
        path: rule
        for policy in people.policies_of(PEOPLE[login])
        for path, rule in role_rules.get(policy, {}).items()
    }


def allowed(rules: dict[str, dict[str, Any]], path: str) -> set[str]:
    """What rules allow on a path: the one that names it, else one where ``+`` stands for a word."""
    for rule_path, rule in sorted(rules.items(), key=lambda item: item[0] != path):
        words = zip(rule_path.split("/"), path.split("/"), strict=False)
        if rule_path.count("/") == path.count("/") and all(one in (other, "+") for one, other in words):
            return set(rule["capabilities"])
    return set()


def concrete(path: str) -> str:
    words = path.split("/")
    return "/".join(
        SAMPLES.get(words[i - 1], "some") if word == "+" else word for i, word in enumerate(words)
    )


def every_path(place: Place) -> set[str]:
    """Every path that any policy names, of people and of machines, and some that none does."""
    rules = [*policies.policies(place).values(), *duties.duties(place).values()]
    named = {concrete(path.replace("*", "some")) for one in rules for path in one}
    unnamed = {
        "sys/policies/acl/person",
        "sys/auth/other",
        "sys/mounts/other",
        "sys/raw/core",
        "sys/generate-root/attempt",
        "auth/token/create",
        "auth/userpass/users/olga/policies",
        "identity/mfa/method/totp/admin-generate",
        "identity/entity-alias",
        "transit/export/encryption-key/stack-one",
        "transit/backup/stack-one",
        "transit/decrypt/stack-one",
        "kv/data/services/keystone",
        "kv/destroy/services/keystone",
        "pki_root/root/sign-intermediate",
        "pki_services/issue/host-ctl1",
        "sys/storage/raft/snapshot-force",
    }
    return named | unnamed


def capabilities(cloud: Cloud, login: str, paths: list[str]) -> dict[str, set[str]]:
    """What OpenBao says that a token may do, asked by a quorum."""
    return capabilities_of(cloud, cloud.tokens[login], paths)


def capabilities_of(cloud: Cloud, token: str, paths: list[str]) -> dict[str, set[str]]:
    with quorum.root(cloud.place, custody.shares_of(cloud.place), "test") as speaker:
        answer = speaker.write_data("sys/capabilities", data={"token": token, "paths": paths})
    return {path: set(answer["data"][path]) - {"deny"} for path in paths}


@pytest.mark.parametrize("login", PEOPLE)
def test_every_capability_on_every_path_is_that_of_the_role(cloud: Cloud, login: str) -> None:
    rules = {**duties.person("userpass"), **rules_of(cloud.place, login)}
    paths = sorted(every_path(cloud.place))
    found = capabilities(cloud, login, paths)
    expected = {path: allowed(rules, path) for path in paths}
    assert found == expected
    assert len(paths) > 50


def test_no_two_roles_may_change_the_same(cloud: Cloud) -> None:
    rules = {login: rules_of(cloud.place, login) for login in PEOPLE}
    for one, other in itertools.combinations(("olga", "paul", "rita"), 2):
        for path in rules[one].keys() & rules[other].keys():
            both = {*rules[one][path]["capabilities"]} & {*rules[other][path]["capabilities"]}
            assert both <= {"read", "list"}, path


WORKS: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "olga": (
        ("PUT", "transit/keys/stack-one/rotate", {}),
        ("PUT", "transit/keys/stack-one/config", {"min_decryption_version": 1}),
        ("PUT", "pki_services/tidy", {"tidy_cert_store": True}),
        ("LIST", "auth/approle/role/host-ctl1/secret-id", {}),
        ("PUT", "sys/rotate", {}),
    ),
    "paul": (
        ("GET", "sys/storage/raft/configuration", {}),
        ("GET", "sys/storage/raft/autopilot/state", {}),
        ("GET", "sys/ha-status", {}),
        ("PUT", "sys/storage/raft/remove-peer", {"server_id": "nobody"}),
    ),
    "rita": (
        ("GET", "sys/policies/acl/deployer", {}),
        ("LIST", "auth/approle/role", {}),
        ("GET", "auth/userpass/users/paul", {}),
        ("GET", "kv/metadata/services/keystone", {}),
        ("PUT", "sys/audit-hash/file", {"input": "guess"}),
    ),
    "nils": (),
}
NOBODYS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PUT", "transit/keys/stack-one/config", {"exportable": True}),
    ("PUT", "transit/decrypt/stack-one", {"ciphertext": "vault:v1:x"}),
    ("GET", "kv/data/services/keystone", {}),
    ("PUT", "sys/policies/acl/person", {"policy": ""}),
    ("PUT", "auth/userpass/users/mallory/password", {"password": "x" * 20}),
    ("PUT", "auth/userpass/users/paul", {"token_policies": ["root"]}),
    ("PUT", "auth/token/create", {}),
    ("PUT", "identity/mfa/method/totp/admin-generate", {}),
    ("DELETE", "identity/mfa/login-enforcement/people", {}),
    ("PUT", "sys/storage/raft/snapshot-force", {}),
)


def status(speaker: Any, method: str, path: str, body: dict[str, Any]) -> int:
    """The HTTP status of a request, 403 when it is not allowed."""
    url = f"{speaker.url}/v1/{path}"
    headers = {"X-Vault-Token": speaker.token}
    answer = speaker.session.request(
        method, url, json=body, headers=headers, verify=speaker.adapter._kwargs["verify"]
    )
    return int(answer.status_code)


@pytest.mark.parametrize("login", PEOPLE)
def test_each_does_their_own_work_and_nobody_elses(cloud: Cloud, login: str) -> None:
    speaker = cloud.as_(login)
    own = [status(speaker, *work) for work in WORKS[login]]
    assert 403 not in own
    others = [work for other, works in WORKS.items() if other != login for work in works]
    assert [status(speaker, *work) for work in (*others, *NOBODYS)] == [403] * (len(others) + len(NOBODYS))


def test_password_alone_or_code_alone_opens_nothing(cloud: Cloud) -> None:
    speaker = client(cloud.place, cloud.place.nodes[0])
    half = speaker.adapter.post("/v1/auth/userpass/login/paul", json={"password": PASSWORD})["auth"]
    assert not half["client_token"]
    with pytest.raises(SocleError, match="paul is not logged in"):
        people.log_in(cloud.place, "paul", PASSWORD, "000000")
    with pytest.raises(SocleError, match="paul is not logged in") as caught:
        people.log_in(cloud.place, "paul", "not the password", code(cloud.urls["paul"], 1))
    assert "\n" not in str(caught.value)


def test_a_code_is_good_once(cloud: Cloud) -> None:
    shown = code(cloud.urls["nils"], 1)
    assert people.log_in(cloud.place, "nils", PASSWORD, shown).is_authenticated()
    with pytest.raises(SocleError, match="nils is not logged in"):
        people.log_in(cloud.place, "nils", PASSWORD, shown)


def test_everybody_changes_their_own_password_only(cloud: Cloud) -> None:
    body = {"password": PASSWORD}
    assert status(cloud.as_("rita"), "PUT", "auth/userpass/users/rita/password", body) == 204
    assert status(cloud.as_("rita"), "PUT", "auth/userpass/users/olga/password", body) == 403


def test_enrolled_anew_the_former_factor_and_session_are_dead(cloud: Cloud) -> None:
    place = replace(cloud.place, people={**PEOPLE, "zoe": ("operator",)})
    shares = custody.shares_of(place)
    first = people.enrol(place, shares, "zoe", PASSWORD)
    session = people.log_in(place, "zoe", PASSWORD, code(first.url))
    second = people.enrol(place, shares, "zoe", PASSWORD)
    assert not session.is_authenticated()
    with pytest.raises(SocleError):
        people.log_in(place, "zoe", PASSWORD, code(first.url, 1))
    assert people.log_in(place, "zoe", PASSWORD, code(second.url)).is_authenticated()
    assert base64.b64decode(second.picture).startswith(b"\x89PNG")
    session = people.log_in(place, "zoe", PASSWORD, code(second.url, 1))
    vault.configure(place)
    assert session.is_authenticated()
    assert vault.configure(cloud.place), "she left people.yml"
    assert not session.is_authenticated()
    with pytest.raises(SocleError):
        people.log_in(place, "zoe", PASSWORD, code(second.url, 1))


def test_changed_roles_end_the_session(cloud: Cloud) -> None:
    place = replace(cloud.place, people={**PEOPLE, "nils": ("operator",)})
    session = cloud.as_("nils")
    assert session.is_authenticated()
    assert vault.configure(place)
    assert not session.is_authenticated()
    vault.configure(cloud.place)


def test_enrolment_is_refused_to_strangers_and_short_passwords(cloud: Cloud) -> None:
    shares = custody.shares_of(cloud.place)
    for login, password in (("mallory", PASSWORD), ("paul", "short")):
        with pytest.raises(SocleError) as caught:
            people.enrol(cloud.place, shares, login, password)
        assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("key", "value"), [("exportable", True), ("allow_plaintext_backup", True), ("deletion_allowed", True)]
)
def test_stacks_do_not_loosen_their_keys(cloud: Cloud, key: str, value: bool) -> None:
    stacks = vault.stacks_client(cloud.place)
    assert status(stacks, "PUT", "transit/keys/stack-one/config", {key: value}) == 403
    assert (
        status(stacks, "PUT", "transit/keys/stack-two", {"type": "aes256-gcm96", "exportable": True}) == 403
    )
    assert status(stacks, "PUT", "transit/keys/other", {"type": "aes256-gcm96"}) == 403


def test_the_auditing_machine_reads_settings_and_no_secret(cloud: Cloud) -> None:
    speaker = vault.auditor_client(cloud.place)
    rules, paths = auditor.rules(cloud.place), sorted(every_path(cloud.place))
    found = capabilities_of(cloud, speaker.token, paths)
    assert found == {path: allowed(rules, path) for path in paths}
    assert {path for path, can in found.items() if not can <= {"read", "list", "sudo"}} == {
        "auth/token/lookup-accessor",  # a look-up by its method alone
        "ssh_user/sign/audit",  # ten minutes at one read-only program of each host
    }
    secret = (
        "kv/data",
        "kv/subkeys",
        "tenants/export",
        "transit/export",
        "transit/backup",
        "transit/decrypt",
    )
    assert not {path for path, can in found.items() if can and path.startswith(secret)}
    assert {status(speaker, *work) for work in NOBODYS} == {403}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("LIST", "auth/token/accessors", {}),
        ("GET", "sys/audit", {}),
        ("GET", "sys/config/state/sanitized", {}),
        ("GET", "sys/key-status", {}),
        ("GET", "sys/rotate/config", {}),
        ("GET", "sys/storage/raft/configuration", {}),
        ("LIST", "pki_root/issuers", {}),
        ("LIST", "ssh_host/roles", {}),
        ("GET", "transit/keys/stack-one", {}),
        ("GET", "kv/metadata/services/keystone", {}),
        ("GET", "sys/mounts/auth/userpass/tune", {}),
    ],
)
def test_the_auditing_machine_is_answered(cloud: Cloud, method: str, path: str, body: dict[str, Any]) -> None:
    assert status(vault.auditor_client(cloud.place), method, path, body) == 200


@pytest.mark.parametrize("role", ["deployer", "ansible", "stacks", "snapshot", "host-ctl1"])
def test_machines_name_exact_paths_and_have_no_default_policy(cloud: Cloud, role: str) -> None:
    assert policies.approles(cloud.place)[role]["token_no_default_policy"] is True
    wild = {path for path in policies.policies(cloud.place)[role] if "*" in path or "+" in path}
    assert all(
        role == "stacks" and path.endswith(("/stack-*", "/tenants/+", "/tenants/+/+")) for path in wild
    )


def test_the_qr_code_is_drawn_as_openbao_made_it(cloud: Cloud) -> None:
    place = replace(cloud.place, people={**PEOPLE, "zoe": ()})
    lines = qrcode.drawn(people.enrol(place, custody.shares_of(place), "zoe", PASSWORD).picture).splitlines()
    assert len({len(line) for line in lines}) == 1
    modules = len(lines[0]) - 4
    assert (modules - 17) % 4 == 0, "ISO/IEC 18004: 17 + 4 for each version"
    assert lines[1].startswith("██ ▄▄▄▄▄ █"), "the finder in the corner"
    assert lines[2].startswith("██ █   █ █")
