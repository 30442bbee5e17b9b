"""Readings of OpenStack's APIs: pages, refusals, cut connections, answers of another shape; rules of time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.exceptions import ConnectFailure

from socle.audit import controls
from socle.audit.collect.apis import keystone, network
from socle.audit.collect.apis.reader import NotRead, Reader
from socle.audit.collect.cloud import WHAT, read_cloud
from socle.audit.rules import RULES, Others
from socle.audit.rules.registry import Unreadable
from socle.paths import project_root
from socle.site import Site, load

MOMENT = datetime(2026, 11, 29, 8, tzinfo=UTC)


class Answer:
    """What an API says: a status and JSON, or text that is none."""

    def __init__(self, body: Any, status: int = 200) -> None:
        self.body, self.status_code, self.ok = body, status, status < 400

    def json(self) -> Any:
        if isinstance(self.body, str):
            raise ValueError(self.body)
        return self.body


class Api:
    """One API that answers by path; what is not foreseen is an empty list of every kind."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers, self.asked = answers, list[str]()

    def get(self, path: str, **_how: Any) -> Answer:
        self.asked.append(path)
        found = self.answers.get(path, self.answers.get(path.partition("?")[0], Answer({}, 404)))
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, Answer) else Answer(found)


class Cloud:
    """All APIs."""

    def __init__(self, **apis: Mapping[str, Any]) -> None:
        self.apis = {name: Api(answers) for name, answers in apis.items()}

    def __getattr__(self, name: str) -> Api:
        return self.apis.setdefault(name, Api({}))


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories" / "lab")


DOMAINS = {"domains": [{"id": "d", "name": "t-1"}]}
PROJECTS = {"projects": [{"id": "p", "name": "production", "domain_id": "d", "enabled": True}]}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"truncated": True, "links": {"next": None}}, "tronquée"),
        ({"links": {"next": "https://x/v3/users?limit=1000"}}, "déjà lue"),
    ],
)
def test_a_list_that_does_not_end_is_not_read(more: dict[str, Any], why: str) -> None:
    cloud = Cloud(identity={"/users?limit=1000": {"users": [{"id": 1}], **more}})
    with pytest.raises(NotRead, match=why):
        list(Reader(cloud).every("identity", "/users", "users", limit=1000))


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("tcp 1-65535 0.0.0.0/0", True),
        ("any any 0.0.0.0/1", True),
        ("udp any ::/1", True),
        ("tcp 1024-65535 any", True),
        ("tcp 443-443 0.0.0.0/0", False),
        ("tcp 30000-30100 any", False),
        ("tcp 1-65535 10.0.0.0/8", False),
        ("any any same-group", False),
    ],
)
def test_a_group_that_is_open_to_all_in_other_words_is_found(rule: str, wrong: bool) -> None:
    group = {"name": "web", "project": "t-1/production", "ingress": [rule], "egress": []}
    found = RULES["default-deny"]([group], {"egress": []}, Others("lab", MOMENT))
    assert bool(list(found)) is wrong


@pytest.mark.parametrize("name", ["eric.operator", "Eric.Operator", "ERIC@GIP.EXAMPLE", "eric.operator "])
def test_a_leaver_is_found_by_any_writing_of_the_name(name: str) -> None:
    people = {"leavers": {"eric.operator": {"email": "eric@gip.example"}}}
    others = Others("lab", MOMENT, {"site.people": {"lab": people}})
    users = [{"domain": "Default", "name": name}, {"domain": "Default", "name": "erica"}]
    assert len(list(RULES["leavers-gone"](users, {}, others))) == 1


def test_no_owner_that_a_project_writes_hides_a_port() -> None:
    owners = ["compute:salle-1", "Compute:nova", "moi:rien", "", "network:dhcp", "network:router_interface"]
    ports = [
        {
            "id": owner,
            "device_owner": owner,
            "project_id": "p",
            "network_id": "n",
            "port_security_enabled": False,
        }
        for owner in owners
    ]
    told = network._ports(Reader(Cloud(network={"/ports": {"ports": ports}})), [])
    assert {one["owner"] for one in told} == {*owners} - {"network:dhcp"}
    control = controls.named("network-ports-protected")
    found = RULES[control.rule](told, control.expect, Others("lab", MOMENT))
    assert {one.place.partition(" ")[0] for one in found} >= {"compute:salle-1", "Compute:nova", "moi:rien"}


def test_every_page_of_a_list_is_read_in_each_of_its_three_forms() -> None:
    cloud = Cloud(
        network={
            "/ports?limit=1000": {
                "ports": [{"id": 1}],
                "ports_links": [{"rel": "next", "href": "https://x/y?marker=1"}],
            },
            "/ports?marker=1": {"ports": [{"id": 2}]},
        },
        image={
            "/images": {"images": [{"id": 1}], "next": "/v2/images?marker=1"},
            "/images?marker=1": {"images": [{"id": 2}]},
        },
        identity={
            "/users": {"users": [{"id": 1}], "links": {"next": "https://x/v3/users?marker=1"}},
            "/users?marker=1": {"users": [], "links": {"next": "https://x/v3/users?marker=1"}},
        },
    )
    reader = Reader(cloud)
    assert [one["id"] for one in reader.every("network", "/ports", "ports", limit=1000)] == [1, 2]
    assert [one["id"] for one in reader.every("image", "/images", "images")] == [1, 2]
    assert [one["id"] for one in reader.every("identity", "/users", "users")] == [1]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer({}, 403), "403 : interdit (network /ports)"),
        (Answer({}, 500), "500 : erreur (network /ports)"),
        (Answer("<html>"), "réponse illisible"),
        (Answer(["no object"]), "réponse inattendue"),
        (Answer({"ports": None}), "pas de liste ports"),
        (ConnectFailure("connection reset by secret-host"), "network ne répond pas (ConnectFailure)"),
    ],
)
def test_what_goes_wrong_is_told_in_french(answer: Any, told: str) -> None:
    with pytest.raises(NotRead) as caught:
        list(Reader(Cloud(network={"/ports": answer})).every("network", "/ports", "ports"))
    assert told in str(caught.value)


def test_an_api_that_refuses_one_list_leaves_the_facts_before_it_and_every_other_api(site: Site) -> None:
    cloud = Cloud(
        identity={"/domains": DOMAINS, "/projects": PROJECTS, "/users": Answer({}, 403)},
        network={
            path: {key: []}
            for path, key in (
                ("/networks", "networks"), ("/subnets", "subnets"), ("/ports", "ports"),
                ("/security-groups", "security_groups"), ("/rbac-policies", "rbac_policies"),
                ("/agents", "agents"),
            )
        },
    )  # fmt: skip
    facts = {fact.name: fact for fact in read_cloud(site, lambda _site: cloud)}
    assert set(facts) == {name for names in WHAT.values() for name in names}
    assert facts["keystone.projects"].value == {"t-1/production": {"enabled": True, "tags": []}}
    assert facts["keystone.users"].problem == "403 : interdit (identity /users)"
    assert facts["keystone.rights"].problem == "403 : interdit (identity /users)"
    assert all(facts[name].problem is None for name in WHAT[network])
    assert all("404" in (facts[name].problem or "") for name in facts if name.startswith("nova."))


def test_without_keystone_nothing_is_read(site: Site) -> None:
    cloud = Cloud(identity={"/domains": ConnectFailure("cut")})
    facts = read_cloud(site, lambda _site: cloud)
    assert {fact.problem for fact in facts} == {"identity ne répond pas (ConnectFailure)"}


def test_an_item_of_another_shape_is_no_reading(site: Site) -> None:
    cloud = Cloud(
        identity={"/domains": DOMAINS, "/projects": PROJECTS},
        network={"/networks": {"networks": [{"id": "n"}]}, "/subnets": {"subnets": []}},
    )
    facts = {fact.name: fact for fact in read_cloud(site, lambda _site: cloud)}
    assert "réponse inattendue (KeyError" in (facts["neutron.networks"].problem or "")


def test_one_call_for_each_list_whatever_the_number_of_tenants() -> None:
    domains = [{"id": f"d{n}", "name": f"t-{n}"} for n in range(1500)]
    projects = [
        {"id": f"p{n}", "name": "production", "domain_id": f"d{n}", "enabled": True} for n in range(1500)
    ]
    answers: dict[str, Any] = {"/domains": {"domains": domains}, "/projects": {"projects": projects}}
    answers |= {"/users": {"users": []}, "/roles": {"roles": []}, "/role_inferences": {"role_inferences": []}}
    answers |= {"/role_assignments": {"role_assignments": []}, "/OS-TRUST/trusts": {"trusts": []}}
    answers |= {"/services": {"services": []}, "/endpoints": {"endpoints": []}}
    cloud = Cloud(identity=answers)
    reader = Reader(cloud)
    keystone.learn(reader)
    assert [name for name, _value in keystone.read(reader)] == list(WHAT[keystone])
    assert reader.project("p1499") == "t-1499/production"
    assert reader.project("gone-for-good") == "?gone-for"
    assert len(cloud.identity.asked) < 20


def judged(rule: str, value: Any, expect: dict[str, Any], **facts: Any) -> list[str]:
    others = Others("lab", MOMENT, {name.replace("__", "."): {"lab": fact} for name, fact in facts.items()})
    return [f"{d.place}: {d.expected}, {d.found}" for d in RULES[rule](value, expect, others)]


def test_the_newest_entry_counts_and_one_of_tomorrow_does_not() -> None:
    expect = {"where": {"kind": "rights"}, "days": 365}
    kept = {
        "old": {"kind": "rights", "date": "2024-01-01"},
        "new": {"kind": "rights", "date": "2026-01-01"},
        "other": {"kind": "cabling", "date": "2026-11-01"},
    }
    assert judged("recent", kept, expect) == []
    late = {"old": kept["old"], "tomorrow": {"kind": "rights", "date": "2026-11-30"}}
    assert judged("recent", late, expect) == ["old: au plus 365 jours, 2024-01-01"]
    assert judged("recent", kept, {**expect, "hours": 26}) == [
        "new: au plus 26 heures, 2026-01-01T00:00:00+00:00"
    ]
    assert judged("recent", {"other": kept["other"]}, expect) == [": une entrée depuis 365 jours, aucune"]
    with pytest.raises(Unreadable):
        judged("recent", {"a": {"kind": "rights", "date": "soon"}}, expect)


def test_what_ends_today_still_holds_today() -> None:
    expect = {"until": ["end"]}
    assert judged("current", {"a": {"end": "2026-11-29"}}, expect) == []
    assert judged("current", {"a": {"end": "2026-11-28"}}, expect) == ["a end: une date à venir, 2026-11-28"]
    with pytest.raises(Unreadable):
        judged("current", {}, expect)
    with pytest.raises(Unreadable):
        judged(
            "current",
            {"a": {}},
            {"declared": "maintenance", "each": {"maintenance/contract": {"present": True}}},
        )


def test_an_account_that_has_another_s_place_is_known_and_a_closed_one_must_stay_so() -> None:
    accounts = {
        "Default/nova": {"roles": ["admin"], "closed": False},
        "Default/admin": {"roles": ["admin"], "closed": True},
    }
    users = [
        {"domain": "Default", "name": "nova-b", "enabled": True},
        {"domain": "Default", "name": "admin", "enabled": False},
    ]
    facts = {"site__accounts": accounts, "site__people": {"people": {}}}
    assert judged("nominative", users, {}, **facts) == []
    users[1]["enabled"] = True
    assert judged("nominative", users, {}, **facts) == ["compte Default/admin: fermé, ouvert"]
    rights = {"Default/nova-b": {"project Default/service": ["admin"]}}
    assert judged("admins-declared", rights, {}, **facts) == []
    assert judged("admins-declared", {"t-1/a": {"domain t-1": ["admin"]}}, {}, **facts) == [
        "t-1/a: non administrateur, administrateur",
        "Default/nova: administrateur, absent",
    ]


def test_who_has_the_duty_may_be_administrator_and_need_not_be_enrolled() -> None:
    people = {"paul": {"roles": ["operator"]}, "rita": {"roles": ["auditor"]}}
    facts = {"site__accounts": {}, "site__people": {"people": people}}
    rights = {"provider/paul": {"project provider/provider": ["admin"]}}
    assert judged("admins-declared", rights, {}, **facts) == []
    rights = {
        "provider/rita": {"project provider/provider": ["admin"]},
        "Default/paul": {"system": ["admin"]},
    }
    assert judged("admins-declared", rights, {}, **facts) == [
        "Default/paul: non administrateur, administrateur",
        "provider/rita: non administrateur, administrateur",
    ]


@pytest.mark.parametrize(
    "rules", [[], [["password"]], [["password", "totp"], ["totp"]], [["password", "token"]]]
)
def test_two_factors_are_what_is_known_and_what_is_had(rules: list[list[str]]) -> None:
    user = {"domain": "provider", "name": "paul", "mfa": True, "mfa_rules": [["password", "totp"]]}
    assert judged("second-factor", [user], {}, site__accounts={}) == []
    said = ["provider/paul: deux facteurs exigés, un seul suffit"]
    assert judged("second-factor", [user | {"mfa": False}], {}, site__accounts={}) == said
    assert judged("second-factor", [user | {"mfa_rules": rules}], {}, site__accounts={}) == said


def test_no_reading_of_the_cloud_is_committed_with_a_secret() -> None:
    folder = Path(__file__).with_name("audit_facts")
    for path in folder.glob("*/cloud.json"):
        text = path.read_text("utf-8").lower()
        assert not [word for word in ("gaaaaa", "private key", '"password":', 'secret":') if word in text]
