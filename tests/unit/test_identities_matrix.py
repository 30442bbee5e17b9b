"""Every policy against every path that any policy names: what OpenBao says, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from socle import catalogue, vault
from socle.vault import custody, duties, policies, quorum
from socle.vault.api import client
from socle.vault.place import Place, ServiceLogin
from socle.vault.policies import Rules
from tests.unit.openbao_server import begun
from tests.unit.test_identities import every_path, status

REQUESTS = {
    "GET": {"read"},
    "LIST": {"list"},
    "PUT": {"create", "update"},
    "PATCH": {"patch"},
    "DELETE": {"delete"},
}
"""What a request asks for: one of these. Whether ``create`` or ``update`` depends on what is there."""
NO_SUCH = 405
"""The status of a method that a path does not have, for whoever asks."""
PUBLIC = {
    "pki_root/certs",
    "pki_root/issuers",
    "pki_services/cert/some",
    "pki_services/crl/rotate",
    "pki_services/issuers",
    "sys/generate-root/attempt",
}
"""What OpenBao answers without a login: certificates, and the quorum's own procedure."""
AT_ONCE = 8


@dataclass(frozen=True)
class Cloud:
    """A prepared OpenBao, its policies, and a token of each."""

    place: Place
    rules: dict[str, Rules]
    tokens: dict[str, str]
    paths: list[str]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, bare):
        components = catalogue.load().components
        place = replace(
            bare,
            secrets={name: dict(c.secrets) for name, c in components.items() if c.secrets},
            services=(ServiceLogin("barbican", "ctl1", "127.0.0.1"),),
        )
        vault.prepare(place)
        rules = {**policies.policies(place), **duties.duties(place)}
        del rules["default"]  # denies everything, and every other token is without it
        with quorum.root(place, custody.shares_of(place), "test") as speaker:
            tokens = {name: _token(speaker, name) for name in rules}
        yield Cloud(place, rules, tokens, sorted(every_path(place)))


def _token(speaker: Any, policy: str) -> str:
    asked = {"policies": [policy], "no_default_policy": True, "no_parent": True, "ttl": "1h"}
    return str(speaker.write_data("auth/token/create", data=asked)["auth"]["client_token"])


def declared(rules: Rules, path: str) -> set[str]:
    """What rules allow on a path: the one that names it, else those with a wildcard that fits."""
    if path in rules:
        return set(rules[path]["capabilities"]) - {"deny"}
    found: set[str] = set()
    for pattern, rule in rules.items():
        fitting = re.escape(pattern).replace(r"\+", "[^/]+").replace(r"\*", ".*")
        if re.fullmatch(fitting, path):
            found |= set(rule["capabilities"])
    return found - {"deny"}


def test_openbao_allows_each_policy_what_is_declared_and_nothing_else(cloud: Cloud) -> None:
    differences = []
    with quorum.root(cloud.place, custody.shares_of(cloud.place), "test") as speaker:
        for name, token in cloud.tokens.items():
            answer = speaker.write_data("sys/capabilities", data={"token": token, "paths": cloud.paths})
            for path in cloud.paths:
                found = set(answer["data"][path]) - {"deny"}
                if found != declared(cloud.rules[name], path):
                    differences.append((name, path, found, declared(cloud.rules[name], path)))
    assert differences == []
    assert len(cloud.tokens) > 14
    assert len(cloud.paths) > 150


def answered(speaker: Any, method: str, path: str) -> int:
    """The HTTP status of an empty request."""
    if method != "PATCH":
        return status(speaker, method, path, {})
    answer = speaker.session.patch(
        f"{speaker.url}/v1/{path}",
        data="{}",
        headers={"X-Vault-Token": speaker.token, "Content-Type": "application/merge-patch+json"},
        verify=speaker.adapter._kwargs["verify"],
    )
    return int(answer.status_code)


def test_every_request_that_is_not_declared_is_refused(cloud: Cloud) -> None:
    """Requests that are declared are not made here: some seal OpenBao, or end keys."""
    speakers = {name: client(cloud.place, cloud.place.nodes[0], t) for name, t in cloud.tokens.items()}
    asked = [
        (name, method, path)
        for name in cloud.tokens
        for path in cloud.paths
        for method, one_of in REQUESTS.items()
        if not declared(cloud.rules[name], path) & one_of
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda ask: answered(speakers[ask[0]], ask[1], ask[2]), asked))
    let = {(*ask[1:], got) for ask, got in zip(asked, answers, strict=True) if got not in {403, NO_SUCH}}
    stranger = client(cloud.place, cloud.place.nodes[0])
    assert {one for one in let if answered(stranger, *one[:2]) in {403, NO_SUCH}} == set()
    assert {path for _method, path, _got in let} <= PUBLIC
    assert len(asked) > 10_000


def test_no_two_duties_of_people_may_change_the_same(cloud: Cloud) -> None:
    changes = {"create", "update", "patch", "delete", "sudo"}
    names = [name for name in cloud.rules if name.startswith("role-")]
    for path in cloud.paths:
        who = [name for name in names if declared(cloud.rules[name], path) & changes]
        assert len(who) <= 1 or path == "sys/audit", (path, who)


def test_tokens_of_the_matrix_are_alive(cloud: Cloud) -> None:
    """A dead token is refused as well, and would prove nothing."""
    with quorum.root(cloud.place, custody.shares_of(cloud.place), "test") as speaker:
        for name, token in cloud.tokens.items():
            answer = speaker.write_data("auth/token/lookup", data={"token": token})
            assert answer["data"]["policies"] == [name]
