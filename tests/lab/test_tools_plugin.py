"""The built OpenStack plugin against the Python package that programs are written with."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation

from socle.paths import project_root
from socle.tools import build
from socle.tools.properties import differences, plugin_properties
from socle.tools.tokens import PLUGIN, TOKENS_FILE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def binaries() -> dict[str, Path]:
    """Pulumi and the plugin, built first where the cache does not have them."""
    return build(["pulumi", PLUGIN])


@pytest.fixture(scope="module")
def printed(binaries: dict[str, Path]) -> dict[str, Any]:
    return plugin_properties(binaries[PLUGIN])


def test_the_map_names_all_that_the_provider_has(printed: dict[str, Any]) -> None:
    shipped = json.loads(project_root().joinpath(TOKENS_FILE).read_text())
    assert sorted(shipped["resources"]) == sorted(printed["terraform"]["resources"])
    assert sorted(shipped["functions"]) == sorted(printed["terraform"]["dataSources"])
    assert shipped["version"] == printed["version"]


def test_names_and_types_agree_for_every_token(printed: dict[str, Any]) -> None:
    assert differences(printed) == []


def test_a_disagreement_is_seen(printed: dict[str, Any]) -> None:
    doctored = copy.deepcopy(printed)
    subnet = doctored["resources"]["openstack:networking/subnet:Subnet"]
    subnet["allocationPool"] = subnet.pop("allocationPools")
    subnet["cidr"]["type"] = "array"
    del doctored["resources"]["openstack:identity/project:Project"]
    assert set(differences(doctored)) == {
        "openstack:identity/project:Project: the plugin does not know it",
        "openstack:networking/subnet:Subnet inputs cidr: the package has string, the plugin array",
        "openstack:networking/subnet:Subnet inputs: only the plugin has allocationPool",
        "openstack:networking/subnet:Subnet inputs: the plugin has no allocationPools",
        "openstack:networking/subnet:Subnet outputs cidr: the package has string, the plugin array",
        "openstack:networking/subnet:Subnet outputs: only the plugin has allocationPool",
        "openstack:networking/subnet:Subnet outputs: the plugin has no allocationPools",
    }


def test_pulumi_previews_through_the_plugin(binaries: dict[str, Path], tmp_path: Path) -> None:
    """A preview asks no cloud; it proves that the CLI starts the plugin and that this takes the inputs."""
    search = f"{binaries[PLUGIN].parent}:{os.environ['PATH']}"
    environment = {
        "PATH": search,
        "PULUMI_BACKEND_URL": tmp_path.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "a preview keeps nothing",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    stack = automation.create_or_select_stack(
        "preview",
        project_name="plugin",
        program=small_network,
        opts=automation.LocalWorkspaceOptions(
            env_vars=environment,
            pulumi_command=automation.PulumiCommand(str(binaries["pulumi"].parents[1])),
        ),
    )
    result = stack.preview()
    assert result.change_summary == {automation.OpType.CREATE: 5}


def small_network() -> None:
    """A project with a network whose name is left to the plugin, and a subnet with an allocation pool."""
    import pulumi_openstack as openstack  # noqa: PLC0415 - takes seconds, and only this program needs it

    cloud = openstack.Provider("cloud", auth_url="https://keystone.invalid/v3", user_name="nobody")
    options = pulumi.ResourceOptions(provider=cloud)
    project = openstack.identity.Project("commune", opts=options)
    network = openstack.networking.Network("internal", tenant_id=project.id, opts=options)
    openstack.networking.Subnet(
        "internal",
        network_id=network.id,
        cidr="192.0.2.0/24",
        allocation_pools=[
            openstack.networking.SubnetAllocationPoolArgs(start="192.0.2.10", end="192.0.2.20")
        ],
        opts=options,
    )
