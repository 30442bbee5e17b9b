"""The token map of the OpenStack plugin against the installed ``pulumi-openstack`` package."""

from __future__ import annotations

import json
from typing import Any

import pytest

from socle.errors import SocleError
from socle.paths import project_root
from socle.tools import tokens
from socle.tools.recipe import recipe


@pytest.fixture
def shipped() -> dict[str, Any]:
    return dict(json.loads(project_root().joinpath(tokens.TOKENS_FILE).read_text()))


def test_the_shipped_map_is_the_generated_one(shipped: dict[str, Any]) -> None:
    generated = tokens.generate(shipped["resources"], shipped["functions"])
    assert tokens.render(generated) == project_root().joinpath(tokens.TOKENS_FILE).read_text()


def test_every_token_of_the_package_is_mapped(shipped: dict[str, Any]) -> None:
    resources = {*shipped["resources"].values(), *shipped["legacyResources"].values()}
    functions = {*shipped["functions"].values(), *shipped["legacyFunctions"].values()}
    assert resources == set(tokens.package_classes())
    assert functions == tokens.package_functions()
    assert (len(shipped["resources"]), len(shipped["functions"])) == (108, 61)


def test_the_plugin_has_the_version_of_the_package(shipped: dict[str, Any]) -> None:
    assert shipped["version"] == recipe(tokens.PLUGIN).version


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("openstack_identity_project_v3", "openstack:identity/project:Project"),
        ("openstack_networking_secgroup_rule_v2", "openstack:networking/secGroupRule:SecGroupRule"),
        ("openstack_lb_loadbalancer_v2", "openstack:loadbalancer/loadBalancer:LoadBalancer"),
        ("openstack_networking_floatingip_v2", "openstack:networking/floatingIp:FloatingIp"),
        ("openstack_objectstorage_object_v1", "openstack:objectstorage/containerObject:ContainerObject"),
    ],
)
def test_known_pairs(shipped: dict[str, Any], name: str, token: str) -> None:
    assert shipped["resources"][name] == token


def test_a_name_too_many_is_refused(shipped: dict[str, Any]) -> None:
    with pytest.raises(SocleError, match=r"names without a token: \['openstack_identity_region_v3'"):
        tokens.generate([*shipped["resources"], "openstack_identity_region_v3"], shipped["functions"])


def test_a_name_too_few_is_refused(shipped: dict[str, Any]) -> None:
    names = [name for name in shipped["resources"] if name != "openstack_compute_keypair_v2"]
    with pytest.raises(SocleError, match=r"tokens without a name: \['openstack:compute/keypair:Keypair'"):
        tokens.generate(names, shipped["functions"])
