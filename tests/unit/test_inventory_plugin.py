"""What Ansible gets of a site through the inventory plugin."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from socle import catalogue
from socle.paths import project_root, state_dir
from socle.site import load

INVENTORIES = project_root() / "inventories"


def ansible_inventory(site: Path) -> subprocess.CompletedProcess[str]:
    """Run ``ansible-inventory`` as the project configures it."""
    command = [
        Path(sys.executable).with_name("ansible-inventory"),
        "-i",
        site / "site.yml",
        "--list",
        "--export",
    ]
    return subprocess.run(
        command, cwd=project_root(), capture_output=True, text=True, check=False, timeout=60
    )


def plain(value: dict[str, Any]) -> Any:
    """A text without the mark by which Ansible keeps it from being a template."""
    return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else value


@pytest.fixture(scope="module", params=["lab", "modele-gip"])
def listed(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The name of a site, and all that Ansible knows of it."""
    done = ansible_inventory(INVENTORIES / request.param)
    assert done.returncode == 0, done.stderr
    return request.param, json.loads(done.stdout, object_hook=plain)


def test_groups_are_those_of_the_site(listed: tuple[str, dict[str, Any]]) -> None:
    name, inventory = listed
    site = load(INVENTORIES / name)
    for group in ("controllers", "computes", "storage", "vault", "gateways"):
        assert inventory[group]["hosts"] == [host.name for host in site.group(group)]  # type: ignore[arg-type]


def test_every_host_has_its_node(listed: tuple[str, dict[str, Any]]) -> None:
    name, inventory = listed
    services = catalogue.load()
    for host in load(INVENTORIES / name).hosts.values():
        variables = inventory["_meta"]["hostvars"][host.name]
        node = variables["node"]
        assert variables["ansible_host"] == str(host.addresses["admin"])
        assert node["name"] == host.name
        assert set(node["addresses"]) <= set(node["interfaces"])
        assert node["components"] == list(services.of_groups(host.groups))
        assert node["packages"] == list(services.packages_of(host.groups))
        assert set(node["capabilities"]) == {
            "kernel",
            "auditd",
            "apparmor",
            "time",
            "kvm",
            "ovs_kernel_datapath",
        }


def test_all_hosts_share_the_site(listed: tuple[str, dict[str, Any]]) -> None:
    name, inventory = listed
    shared = inventory["all"]["vars"]
    assert shared["site"]["name"] == name
    assert shared["ansible_user"] == shared["site"]["deploy_user"] == "socle"
    assert shared["ca_file"] == "/usr/local/share/ca-certificates/socle.crt"
    assert set(shared["catalogue"]) == set(catalogue.load().components)
    assert shared["catalogue"]["keystone"]["listeners"]["api"]["from"] == ["haproxy"]


def test_urls_of_the_lab(listed: tuple[str, dict[str, Any]]) -> None:
    name, inventory = listed
    urls, site = inventory["all"]["vars"]["urls"], load(INVENTORIES / name)
    internal, public = site.endpoints.internal.name, site.endpoints.public.name
    assert urls["keystone"] == {"internal": f"https://{internal}:5000", "public": f"https://{public}:5000"}
    assert urls["horizon"] == {"public": f"https://{public}"}
    assert urls["nova_metadata"] == {"internal": f"https://{internal}:8775"}
    assert urls["openbao"] == {"internal": f"https://{site.openbao.name}:8200"}


def test_connections_that_are_kept_open_are_the_sites_own(listed: tuple[str, dict[str, Any]]) -> None:
    """Ansible finds them by host, port and user: hosts of two sites that have one name would be mistaken."""
    name, inventory = listed
    assert inventory["all"]["vars"]["ansible_control_path_dir"] == str(state_dir(name) / "cp")


def test_nothing_secret_and_no_private_key(listed: tuple[str, dict[str, Any]]) -> None:
    assert "PRIVATE KEY" not in json.dumps(listed[1])


def test_a_wrong_site_gives_its_lines_and_no_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    shutil.copytree(INVENTORIES / "lab", folder)
    text = (folder / "hosts.yml").read_text("utf-8").replace("10.77.0.22", "10.77.0.21")
    (folder / "hosts.yml").write_text(text, "utf-8")
    done = ansible_inventory(folder)
    assert done.returncode != 0
    assert "10.77.0.21 of `cmp2` is already that of `cmp1`" in done.stderr
    assert "Traceback" not in done.stderr
