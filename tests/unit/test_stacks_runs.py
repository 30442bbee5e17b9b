"""What runs of stacks tell, keep in OpenBao and give every new project: no cloud and no Pulumi are needed."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hvac.exceptions import InvalidRequest
from pulumi import automation

from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import Site, load
from socle.tenants import accounts, apply, default_rules
from socle.tenants.stack import Stack, StackResult
from socle.tenants.watch import Watch, one_line, watched
from stacks.tenant.plan import GUEST_RULES, unserved

COMMUNE = "210000014"
URN = "urn:pulumi:t-1::socle::socle:tenant:Tenant$openstack:blockstorage/volume:Volume::production-web-1"


def event(**told: Any) -> automation.EngineEvent:
    """An event as Pulumi sends it."""
    return automation.EngineEvent.from_json(told)


def failure(message: str, urn: str = URN, severity: str = "error") -> automation.EngineEvent:
    """A reason of a failure."""
    return event(diagnosticEvent={"severity": severity, "message": message, "urn": urn})


def command_error(stderr: str) -> automation.CommandError:
    """Pulumi's program ended with an error."""
    return automation.CommandError(automation.CommandResult("", stderr, 255))


def run_to_failure(events: Iterable[Any]) -> None:
    """A run that tells these events and ends badly."""
    with watched("t-1") as watch:
        for event in events:
            watch(event)
        raise command_error("exit status 255")


def test_a_failed_run_is_one_line_with_each_reason_once() -> None:
    message = f'<{{%reset%}}>resource "{URN}" cannot be deleted\nbecause it is protected.<{{%reset%}}>\n'
    events = (failure(message), failure(message), failure("update failed", ""), failure("x", "", "info"))
    with pytest.raises(SocleError) as error:
        run_to_failure(events)
    reason = 'production-web-1: resource "production-web-1" cannot be deleted because it is protected.'
    assert str(error.value) == f"stack t-1: {reason}"


def test_a_program_that_never_began_says_why() -> None:
    with pytest.raises(SocleError) as error, watched("t-1"):
        raise command_error("warning: x\nerror: getting secrets manager: dial tcp: connection refused\n")
    assert str(error.value) == "stack t-1: getting secrets manager: dial tcp: connection refused"


def test_a_long_message_is_shortened() -> None:
    assert len(one_line("word " * 1000)) <= 400


def test_a_creation_that_failed_is_kept_as_begun() -> None:
    network = {
        "urn": URN,
        "type": "openstack:networking/network:Network",
        "custom": True,
        "parent": "urn:p",
        "provider": "urn:x::id",
        "inputs": {"name": "web"},
    }
    watch = Watch()
    for operation in ("create", "update", "create-replacement"):
        watch(event(resOpFailedEvent={"metadata": {"op": operation, "urn": URN, "new": network}}))
    assert watch.doubtful == [{"type": "creating", "resource": network}] * 2


@pytest.mark.parametrize(
    ("answer", "doubted"), [("POST", False), ("PUT", True), ("GET", True), ("5xx", True), ("timeout", True)]
)
def test_what_an_api_refused_to_make_was_not_made(answer: str, doubted: bool) -> None:
    code = 503 if answer == "5xx" else 409
    method = "POST" if answer == "5xx" else answer
    message = (
        "Error creating openstack_identity_project_v3: Expected HTTP response code [201 202] when\naccessing "
        f"[{method} https://cloud:5000/v3/projects], but got {code} instead: Conflict"
    )
    watch = Watch()
    new = {"urn": URN, "type": "openstack:identity/project:Project", "custom": True}
    watch(failure("context deadline exceeded" if answer == "timeout" else message))
    watch(event(resOpFailedEvent={"metadata": {"op": "create", "urn": URN, "new": new}}))
    assert [one["resource"]["urn"] for one in watch.doubtful] == [URN] * doubted


def test_counts_are_those_of_the_last_summary() -> None:
    watch = Watch()
    changes = {automation.OpType.CREATE: 2, "same": 3}
    watch(event(summaryEvent={"resourceChanges": changes}))
    result = StackResult("t-1", watch.counts)
    assert (result.changed, result.same) == (2, 3)


class Store:
    """OpenBao's KV v2 with check-and-set, as much as is used of it."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[int, dict[str, str]]] = {}
        self.writes = 0

    def read(self, path: str) -> Any:
        """The answer of ``GET``."""
        if path not in self.kept:
            return None
        version, data = self.kept[path]
        return {"data": {"data": data, "metadata": {"version": version}}}

    def write_data(self, path: str, data: Any) -> None:
        """``POST``, refused unless it names the version that is there."""
        version = self.kept.get(path, (0, {}))[0]
        if data["options"]["cas"] != version:
            raise InvalidRequest("check-and-set parameter did not match")
        self.kept[path] = (version + 1, data["data"])
        self.writes += 1


def test_passwords_are_made_once_and_kept() -> None:
    store = Store()
    first = accounts.account_passwords(store, COMMUNE, ["automation", "a@x.example"])
    again = accounts.account_passwords(store, COMMUNE, ["automation", "a@x.example", "b@x.example"])
    assert again.items() > first.items()
    assert len(set(again.values())) == 3
    assert min(map(len, again.values())) >= 32
    accounts.account_passwords(store, COMMUNE, again)
    assert store.writes == 2


def test_seeds_of_second_factors_are_made_once_and_lie_beside_the_passwords() -> None:
    store = Store()
    passwords = accounts.account_passwords(store, COMMUNE, ["automation", "a@x.example"])
    seeds = accounts.second_factors(store, COMMUNE, ["a@x.example"])
    assert len(base64.b32decode(seeds["a@x.example"])) == 160 // 8
    assert accounts.second_factors(store, COMMUNE, ["a@x.example"]) == seeds
    assert accounts.account_passwords(store, COMMUNE, passwords) == passwords
    assert store.writes == 2


class Identity:
    """What Keystone keeps of seeds."""

    def __init__(self) -> None:
        self.kept: list[SimpleNamespace] = []

    def find_domain(self, name: str, ignore_missing: bool) -> SimpleNamespace:
        assert not ignore_missing
        return SimpleNamespace(id=f"id-{name}")

    def find_user(self, name: str, domain_id: str, ignore_missing: bool) -> SimpleNamespace:
        assert (domain_id, ignore_missing) == ("id-t-1", False)
        return SimpleNamespace(id=f"id-{name}")

    def credentials(self, user_id: str) -> list[SimpleNamespace]:
        return [one for one in self.kept if one.user_id == user_id]

    def create_credential(self, **given: str) -> None:
        self.kept.append(SimpleNamespace(**given))


def test_a_person_who_has_a_seed_keeps_it() -> None:
    identity = Identity()
    identity.create_credential(type="totp", blob="OWN", user_id="id-a")
    identity.create_credential(type="ec2", blob="KEY", user_id="id-b")
    for _time in range(2):
        accounts.hand_over(identity, "t-1", {"a": "AAAA", "b": "BBBB"})
    assert [(one.user_id, one.blob) for one in identity.kept if one.type == "totp"] == [
        ("id-a", "OWN"),
        ("id-b", "BBBB"),
    ]


def test_a_preview_generates_no_password() -> None:
    store = Store()
    assert accounts.planned_passwords(store, COMMUNE, ["automation"]) == {"automation": accounts.UNKNOWN}
    assert store.writes == 0


def test_a_credential_is_written_only_when_it_is_another() -> None:
    store = Store()
    for secret in ("one", "one", "two"):
        accounts.keep_credential(store, COMMUNE, "production", {"id": "i", "secret": secret})
    assert store.writes == 2
    assert store.kept[f"kv/data/tenants/{COMMUNE}/production"][1]["secret"] == "two"


class Network:
    """Neutron's templates of default rules."""

    def __init__(self, *templates: Any) -> None:
        self.templates = list(templates)
        self.network = self

    def default_security_group_rules(self) -> list[Any]:
        """The list, as openstacksdk gives it."""
        return list(self.templates)

    def create_default_security_group_rule(self, **fields: Any) -> None:
        """One more."""
        self.templates.append(SimpleNamespace(**fields))

    def delete_default_security_group_rule(self, template: Any) -> None:
        """One less."""
        self.templates.remove(template)


def template(direction: str, **more: Any) -> Any:
    """As Neutron ships them: everything, for everybody."""
    fields = dict.fromkeys(default_rules.FIELDS) | {"direction": direction, "used_in_default_sg": True}
    return SimpleNamespace(**{**fields, "used_in_non_default_sg": True, **more})


def test_a_new_project_lets_out_only_what_a_guest_needs_to_start() -> None:
    cloud = Network(template("egress"), template("ingress", used_in_non_default_sg=False))
    assert default_rules.differences(cloud) == {"create": 2, "delete": 2}
    assert default_rules.settle(cloud) == {"create": 2, "delete": 2}
    assert [(t.direction, t.protocol, t.remote_ip_prefix) for t in cloud.templates] == [
        (rule.direction, rule.protocol, rule.prefix) for rule in GUEST_RULES
    ]
    assert not any(t.used_in_non_default_sg for t in cloud.templates)
    assert default_rules.settle(cloud) == {}


def test_a_rule_that_is_there_twice_is_removed_once() -> None:
    cloud = Network()
    default_rules.settle(cloud)
    cloud.create_default_security_group_rule(**vars(cloud.templates[0]))
    assert default_rules.settle(cloud) == {"delete": 1}
    assert default_rules.differences(cloud) == {}


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


@pytest.mark.parametrize("siren", ["999999999", "210000014x"])
def test_an_unknown_tenant_is_refused_before_anything_is_asked(site: Site, siren: str) -> None:
    with pytest.raises(SocleError, match=f"no tenant {siren}") as error:
        apply(site, [COMMUNE, siren], None, print)  # type: ignore[arg-type]
    assert error.value.exit_code is ExitCode.USAGE


def test_only_active_tenants_of_openstack_are_served(site: Site, tmp_path: Path) -> None:
    frozen = site.registry.tenants[COMMUNE].model_copy(update={"state": "frozen"})
    registry = site.registry.model_copy(update={"tenants": {**site.registry.tenants, COMMUNE: frozen}})
    tenant = site.tenants["210000022"].model_copy(update={"target": "proxmox"})
    changed = Site(
        **{
            **vars(site),
            "registry": registry,
            "tenants": {**site.tenants, "210000022": tenant},
            "folder": tmp_path,
        }
    )
    reasons = [unserved(changed, siren) for siren in (COMMUNE, "210000022", "260000013")]
    assert reasons == ["is frozen", "is for Proxmox", None]
    with pytest.raises(SocleError, match=f"{COMMUNE} is frozen"):
        apply(changed, [COMMUNE], None, print)  # type: ignore[arg-type]


def test_an_api_that_failed_is_asked_once_more_and_one_that_refused_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def run(answers: list[str]) -> StackResult:
        def answer(_stack: Stack) -> StackResult:
            asked.append(answers[0])
            if message := answers.pop(0):
                raise SocleError(message)
            return StackResult("t-1", {"create": 1})

        monkeypatch.setattr(Stack, "_up", answer)
        return Stack("t-1", tmp_path, lambda: None, "hashivault://t-1", None).up()  # type: ignore[arg-type]

    assert run(["Error: [POST …], but got 503 instead", ""]).changed == 1
    with pytest.raises(SocleError):
        run(["Error: [POST …], but got 409 instead", ""])
    with pytest.raises(SocleError):
        run(["Error: [POST …], but got 500 instead", "Error: [POST …], but got 500 instead", ""])
    assert len(asked) == 5
