"""What the audit reads of OpenBao: a real one, an auditor with less, one that is cut off, another shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hvac.exceptions import Forbidden

from socle import vault
from socle.audit.collect import openbao, openbao_keys, openbao_logins
from socle.audit.collect.openbao_session import Session
from socle.audit.collect.openbao_wanted import wanted_policies
from socle.audit.rules import RULES, Others
from socle.audit.rules.registry import Unreadable
from socle.vault import pki, policies
from tests.unit.openbao_server import begun

NOW = datetime(2026, 11, 29, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, bare):
        place = replace(bare, people={"paul": ("operator",)})
        vault.prepare(place)
        vault.stack_key(place, "one")
        yield Session(place, vault.auditor_client(place), datetime.now(UTC))


class Cut:
    """OpenBao that no longer answers as it should."""

    def __init__(self, error: Exception | None, answer: Any = None) -> None:
        self.error, self.answer = error, answer

    def read(self, _path: str) -> Any:
        if self.error:
            raise self.error
        return self.answer

    list = read


def test_everything_is_read_of_a_real_one(session: Session) -> None:
    for name, (reader, _what) in openbao.KINDS.items():
        assert reader(session) is not None, name


def test_policies_are_those_of_the_repository(session: Session) -> None:
    wanted = {
        name: openbao_logins.fingerprint(policies.text(rules))
        for name, rules in wanted_policies(session.place).items()
    }
    assert openbao_logins.policies(session) == wanted


def test_keys_tell_what_they_may_and_nothing_of_themselves(session: Session) -> None:
    (key,) = openbao_keys.transit(session)
    assert (key["name"], key["exportable"], key["encrypts"]) == ("stack-one", False, True)
    assert 0 <= key["age_days"] < 1
    assert "keys" not in key


def test_authorities_are_the_root_and_the_one_of_services(session: Session) -> None:
    root, services = openbao_keys.authorities(session)
    assert (root["path_length"], services["path_length"]) == (1, 0)
    assert root["issuer"] == services["issuer"] == root["subject"]
    assert (root["key"], root["bits"], root["signature_hash"]) == ("ec", 384, "sha384")
    assert (root["signed_by_root"], services["signed_by_root"]) == (True, True)


def test_an_authority_that_another_key_signed_in_the_roots_name_is_found(session: Session) -> None:
    chain = {"root": "pki_root", "issuing": "pki_services"}
    rogue, services = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = x509.load_pem_x509_certificate(pki.certificate(session.speaker, "pki_root").encode())
    made = (
        x509.CertificateBuilder(root.subject, x509.Name([]), services.public_key(), 7)
        .not_valid_before(session.now)
        .not_valid_after(session.now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(rogue, hashes.SHA256())
    )
    assert not openbao_keys._signed_by(made, root)
    assert openbao_keys._signed_by(root, root)
    told = openbao_keys.authorities(session)
    assert judged("chain of authorities", told, chain) == []
    told[1]["signed_by_root"] = False
    assert judged("chain of authorities", told, chain) == [told[1]["subject"]]


def test_policies_of_an_identity_are_told_whatever_logs_in_by_it(session: Session) -> None:
    entity = {"disabled": False, "policies": ["role-crypto-officer"]}
    login = {"mount_type": "approle", "name": "half of a login"}
    named = {"anne": [], "machine": [login], "bare": [login]}

    class Told:
        def names(self, path: str) -> list[str]:
            return list(named) if path == "identity/entity/name" else []

        def data(self, path: str) -> dict[str, Any]:
            name = path.rpartition("/")[2]
            return {**entity, "aliases": named[name], **({"policies": None} if name == "bare" else {})}

    told: Any = Told()
    entities = openbao_logins.people(told)["entities"]
    assert set(entities) == {"anne", "machine"}
    assert "half of a login" not in str(entities)
    value = {"users": {"paul": {"token_policies": ["person"]}}, "entities": entities, "groups": []}
    wanted = {"people": {"paul": ["person"]}}
    assert judged("policies of people", value, {"as": "wanted"}, wanted) == ["anne", "machine"]


@pytest.mark.parametrize(
    ("speaker", "told"),
    [
        (Cut(Forbidden("permission denied")), "403"),
        (Cut(requests.exceptions.ConnectionError("reset")), "ne répond plus"),
        (Cut(None, {"data": {"keys": 3}}), "forme inattendue"),
        (Cut(None, {"errors": []}), "forme inattendue"),
        (Cut(None, None), "forme inattendue"),
    ],
)
def test_what_cannot_be_read_is_a_problem(session: Session, speaker: Cut, told: str) -> None:
    broken = replace(session, speaker=speaker)
    fact = openbao.fact("openbao.policies", "lab", openbao_logins.policies, broken)
    assert fact.value is None
    assert told in (fact.problem or "")


def test_ages_are_of_any_form_that_openbao_writes(session: Session) -> None:
    then = replace(session, now=NOW)
    assert then.age_days("2026-11-28T08:00:00.123456789+01:00") == pytest.approx(1, abs=0.01)
    assert then.age_days("2026-11-28T07:00:00Z") == 1
    assert then.age_days(int((NOW - timedelta(days=2)).timestamp())) == 2


def judged(name: str, value: Any, expect: dict[str, Any], wanted: Any = None) -> list[str]:
    others = Others("lab", NOW, {"wanted": {"lab": wanted}})
    return [deviation.place for deviation in RULES[name](value, expect, others)]


TENANTS = [
    {"domain": "t-one", "has_servers": True, "gone": False},
    {"domain": "t-two", "has_servers": False, "gone": False},
    {"domain": "t-old", "has_servers": False, "gone": True},
]
KEYS = {"mount": "tenants", "as": "wanted", "own": "provider"}


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (["t-one.1"], []),
        (["t-one.1", "t-two.2"], []),
        ([], ["t-one"]),
        (["t-one.1", "t-one.2"], ["t-one"]),
        (["t-one.1", "t-two.2", "t-two.3"], ["t-two"]),
        (["t-one.1", "shared.2"], ["shared"]),
        (["t-one.1", "provider.2"], []),
    ],
)
def test_each_tenant_has_one_key(names: list[str], wrong: list[str]) -> None:
    value = [{"mount": "tenants", "name": name} for name in names]
    assert judged("one key for each tenant", value, KEYS, TENANTS) == wrong


def test_a_tenant_that_is_gone_leaves_no_key() -> None:
    value = [{"mount": "tenants", "name": "t-old.1"}]
    assert judged("erased tenants have no key", value, KEYS, TENANTS) == ["t-old"]
    assert judged("erased tenants have no key", [], KEYS, TENANTS) == []
    with pytest.raises(Unreadable):
        judged("erased tenants have no key", [], KEYS, TENANTS[:2])


def test_duties_are_apart_and_nobody_proves_nothing() -> None:
    expect = {"at": "people", "field": "roles", "pairs": [["a", "b"]]}
    both, one = {"name": "x", "roles": ["a", "b"]}, {"name": "y", "roles": ["a"]}
    assert judged("apart", {"people": [both, one]}, expect) == ["x"]
    assert judged("apart", {"people": {"x": {"roles": ["a", "b"]}}}, expect) == ["x"]
    with pytest.raises(Unreadable):
        judged("apart", {"people": []}, expect)


def test_an_account_has_its_own_policies_and_one_name() -> None:
    good = {
        "users": {"paul": {"token_policies": ["person"]}},
        "entities": {"paul": {"aliases": [{"name": "paul"}], "policies": []}},
        "groups": [],
    }
    wanted = {"people": {"paul": ["person"]}}
    expect = {"as": "wanted"}
    assert judged("policies of people", good, expect, wanted) == []
    assert judged("policies of people", good, expect, {"people": {}}) == ["paul"]
    assert judged("policies of people", {**good, "groups": ["all"]}, expect, wanted) == ["all"]
    twice = {"paul": {"aliases": [{"name": "paul"}, {"name": "admin"}], "policies": []}}
    assert judged("policies of people", {**good, "entities": twice}, expect, wanted) == ["paul"]
    with pytest.raises(Unreadable):
        judged("policies of people", {**good, "users": {}}, expect, wanted)
