"""What the stacks make of the lab's site, seen by Pulumi's mocks: no cloud is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_openstack import Provider

from socle.images import ImageFiles
from socle.paths import project_root
from socle.site import Site, load
from stacks.platform import VOLUME_TYPE
from stacks.platform import Platform as PlatformStack
from stacks.platform import plan_of as platform_plan_of
from stacks.tenant.plan import GROUPS, Rule, TenantPlan, domain_name, plan_of, platform_rules
from stacks.tenant.program import Platform, TenantStack

COMMUNE, HOSPITAL = "210000014", "260000013"


class Recorder(pulumi.runtime.Mocks):
    """Remembers every resource: its type, name and inputs."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, dict[str, Any]]] = []
        self.credentials: Mapping[str, Any] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Every resource comes to be, with an id of its own."""
        self.made.append((args.typ, args.name, dict(args.inputs)))
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        """No program asks the provider anything."""
        raise AssertionError(f"unexpected call {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Inputs by name of the resources of a type."""
        return {name: inputs for typ, name, inputs in self.made if typ.endswith(f":{kind}")}


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, preview=False)
    yield mocks
    pulumi.runtime.set_mocks(Recorder(), preview=False)


def build(recorder: Recorder, plan: TenantPlan) -> Recorder:
    """Run the tenant's program to its end."""
    ids = Platform(
        external_network="ext",
        roles={role: f"{role}-role" for role in GROUPS.values()} | {"member": "member-role"},
        flavors={"socle.nano": "nano"},
        images={"socle-web": "image"},
    )

    def inside(name: str, user: Any, project: Any, options: pulumi.ResourceOptions) -> Provider:
        return Provider(name, tenant_id=project.id, user_name=user.name, password="x", opts=options)

    passwords: Mapping[str, str] = dict.fromkeys(plan.accounts, "not-a-real-one")

    @pulumi.runtime.test
    def program() -> None:
        stack = TenantStack(plan, ids, Provider("administrator"), passwords, inside)
        recorder.credentials = stack.credentials

    program()
    return recorder


def test_a_commune_gets_a_domain_that_does_not_say_who_it_is(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, COMMUNE))
    projects = made.of("Project")
    assert projects["domain"]["isDomain"] is True
    assert projects["domain"]["name"] == domain_name(COMMUNE)
    assert COMMUNE not in domain_name(COMMUNE)
    assert projects["production"]["domainId"] == "domain-id"


def test_no_rule_goes_beyond_the_file(site: Site, recorder: Recorder) -> None:
    plan = plan_of(site, COMMUNE)
    made = build(recorder, plan)
    assert all(group["deleteDefaultRules"] is True for group in made.of("SecGroup").values())
    found = {
        (r["direction"], r["protocol"], r["portRangeMin"], r["portRangeMax"], r["remoteIpPrefix"])
        for r in made.of("SecGroupRule").values()
    }
    gateway = plan.environments[0].segments[0].gateway
    assert found == {
        ("ingress", "tcp", 80, 80, "0.0.0.0/0"),
        ("egress", "udp", 53, 53, "10.77.4.1/32"),
        ("egress", "tcp", 53, 53, "10.77.4.1/32"),
        ("egress", "tcp", 80, 80, "10.77.4.1/32"),
        ("egress", "tcp", 443, 443, "10.77.4.1/32"),
        ("egress", "tcp", 80, 80, "169.254.169.254/32"),
        ("egress", "udp", 67, 67, "255.255.255.255/32"),
        ("egress", "udp", 67, 67, f"{gateway}/32"),
    }


def test_quotas_are_those_of_the_class(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, COMMUNE))
    quota = site.tenant_quota(COMMUNE)
    assert made.of("QuotaSetV2")["production"]["cores"] == quota.vcpu
    assert made.of("QuotaSetV2")["production"]["ram"] == quota.ram_gib * 1024
    assert made.of("QuoteSetV3")["production"]["gigabytes"] == quota.volume_gib
    assert made.of("QuotaV2")["production"]["floatingip"] == quota.public_ips


def test_segments_have_the_prefixes_of_the_site_model(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, HOSPITAL))
    assert {s["cidr"] for s in made.of("Subnet").values()} == {
        str(subnet.prefix) for subnet in site.tenant_networks(HOSPITAL)
    }


def test_a_public_server_has_a_port_an_address_and_its_volumes(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, COMMUNE))
    assert made.of("Instance")["production-web"]["networks"] == [{"port": "production-web-id"}]
    assert made.of("Port")["production-web"]["securityGroupIds"] == ["production-web-id"]
    assert made.of("FloatingIp")["production-web"]["portId"] == "production-web-id"
    assert made.of("Volume")["production-web-1"]["size"] == 1
    assert set(made.of("VolumeAttach")) == {"production-web-1"}


def test_a_server_starts_from_an_encrypted_volume_that_goes_with_it(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, COMMUNE))
    volume = made.of("Volume")["production-web-system"]
    assert (volume["volumeType"], volume["imageId"]) == (VOLUME_TYPE, "image")
    assert volume["size"] == site.flavors["socle.nano"].disk_gib
    server = made.of("Instance")["production-web"]
    assert "imageId" not in server
    (device,) = server["blockDevices"]
    assert device["uuid"] == "production-web-system-id"
    assert (device["sourceType"], device["destinationType"], device["bootIndex"]) == ("volume", "volume", 0)


def test_servers_and_volumes_say_whose_they_are(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, COMMUNE))
    domain = domain_name(COMMUNE)
    mark = {"socle_stack": domain, "socle_resource": "production-web"}
    assert made.of("Instance")["production-web"]["metadata"] == mark
    volume = made.of("Volume")["production-web-1"]
    assert volume["metadata"] == {"socle_stack": domain, "socle_resource": "production-web-1"}
    assert volume["volumeType"] == VOLUME_TYPE


def test_what_the_data_is_stands_on_each_project(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, HOSPITAL))
    assert made.of("Project")["production"]["tags"] == ["data-health", "size-M", "type-hopital"]


def test_a_project_makes_no_networks_of_its_own(site: Site, recorder: Recorder) -> None:
    quota = build(recorder, plan_of(site, COMMUNE)).of("QuotaV2")["production"]
    limits = {key: quota[key] for key in ("network", "subnet", "router", "subnetpool", "rbacPolicy")}
    assert limits == {"network": 1, "subnet": 1, "router": 1, "subnetpool": 0, "rbacPolicy": 0}


def test_guests_ask_the_name_servers_that_the_file_lets_them_ask(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, COMMUNE))
    assert made.of("Subnet")["production-web"]["dnsNameservers"] == ["10.77.4.1"]


def test_automation_is_a_member_of_projects_and_nothing_more(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, COMMUNE))
    own = {n: a for n, a in made.of("RoleAssignment").items() if a.get("userId") == "automation-id"}
    assert {name: a["roleId"] for name, a in own.items()} == {"production-automation": "member-role"}
    assert made.of("ApplicationCredential")["production-automation"]["roles"] == ["member"]


def test_each_environment_is_a_project_with_networks_and_a_router_of_its_own(recorder: Recorder) -> None:
    site = load(project_root() / "inventories/modele-gip")
    plan = plan_of(site, "260005012")
    made = build(recorder, plan)
    assert set(made.of("Project")) == {"domain", "production", "recette"}
    wires = {f"{e}-{s}" for e in ("production", "recette") for s in ("soins", "imagerie")}
    assert set(made.of("Network")) == set(made.of("SecGroup")) == set(made.of("RouterInterface")) == wires
    prefixes = [subnet["cidr"] for subnet in made.of("Subnet").values()]
    assert len(set(prefixes)) == len(prefixes) == 4
    assert {i["routerId"] for n, i in made.of("RouterInterface").items() if n.startswith("recette")} == {
        "recette-id"
    }
    assert set(made.credentials) == {"production", "recette"}


def test_what_comes_from_the_site_link_is_no_rule_of_the_provider_network(recorder: Recorder) -> None:
    site = load(project_root() / "inventories/modele-gip")
    made = build(recorder, plan_of(site, "260005012"))
    assert not [r for r in made.of("SecGroupRule").values() if r["direction"] == "ingress"]


def test_a_tenant_without_servers_has_none(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, HOSPITAL))
    assert made.of("Instance") == {}
    assert made.of("FloatingIp") == {}


def test_groups_have_their_roles_on_the_domain_and_on_each_project(site: Site, recorder: Recorder) -> None:
    made = build(recorder, plan_of(site, COMMUNE))
    assignments = made.of("RoleAssignment")
    for group, role in GROUPS.items():
        for scope in ("domain", "production"):
            assert assignments[f"{scope}-{group}"]["roleId"] == f"{role}-role"
    assert not [a for a in assignments.values() if a["roleId"].startswith("admin")]


def test_passwords_are_secrets_of_the_state(site: Site) -> None:
    assert "not-a-real-one" not in repr(plan_of(site, COMMUNE))


def test_the_platform_makes_the_flavors_images_and_the_provider_network(
    site: Site, recorder: Recorder, tmp_path: Path
) -> None:
    files = {name: tmp_path / name for name in ("disk", "kernel", "ramdisk")}
    image = ImageFiles(files["disk"], "raw", files["kernel"], files["ramdisk"], {"os_command_line": "x"})

    @pulumi.runtime.test
    def program() -> None:
        PlatformStack(platform_plan_of(site, {"socle-web": image}), Provider("administrator"))

    program()
    assert set(recorder.of("Flavor")) == set(site.flavors)
    assert {flavor["disk"] for flavor in recorder.of("Flavor").values()} == {0}
    assert recorder.of("Image")["socle-web"]["properties"]["kernel_id"] == "socle-web-kernel-id"
    network = recorder.of("Network")["provider"]
    assert network["external"] is True
    assert recorder.of("Subnet")["provider"]["enableDhcp"] is False


def test_platform_rules_reach_nothing_but_the_platform() -> None:
    assert platform_rules("10.0.0.1") == (
        Rule("egress", "udp", 67, 67, "255.255.255.255/32"),
        Rule("egress", "tcp", 80, 80, "169.254.169.254/32"),
        Rule("egress", "udp", 67, 67, "10.0.0.1/32"),
    )


def test_managers_open_by_two_factors_and_the_automation_never_stops_by_itself(
    recorder: Recorder, site: Site
) -> None:
    users = build(recorder, plan_of(site, COMMUNE)).of("User")
    automation = users.pop("automation")
    assert not any(name.startswith("multiFactor") for name in automation)
    assert [automation[name] for name in ("ignoreLockoutFailureAttempts", "ignorePasswordExpiry")] == [
        True,
        True,
    ]
    assert users, "the commune has a manager"
    for manager in users.values():
        assert manager["multiFactorAuthEnabled"] is True
        assert manager["multiFactorAuthRules"] == [{"rules": ["password", "totp"]}]
        assert not any(name.startswith("ignore") for name in manager)
