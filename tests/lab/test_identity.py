"""Who the cloud lets in: the provider's own accounts, each with what its work needs; nobody as `admin`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from socle import tenants
from socle.catalogue.accounts import AUDITOR
from tests.lab.deployed import Lab
from tests.lab.factors import log_in

pytestmark = pytest.mark.lab

UNAUTHORIZED = 401
VERSION = {"OpenStack-API-Version": "placement 1.39"}
REFUSED = {"compute": {403, 404}}
"""Nova does not even find the servers of others for whoever may not change them."""
NOWHERE = "00000000-0000-0000-0000-000000000000"
READS = {
    "identity": ["/users", "/projects", "/domains", "/role_assignments", "/services", "/endpoints", "/roles"],
    "compute": [
        "/servers/detail?all_tenants=1",
        "/os-hypervisors/detail",
        "/os-services",
        "/os-aggregates",
        "/flavors/detail?is_public=None",
    ],
    "network": ["/v2.0/agents", "/v2.0/ports", "/v2.0/security-group-rules", "/v2.0/rbac-policies"],
    "block-storage": [
        "/volumes/detail?all_tenants=1",
        "/os-services",
        "/scheduler-stats/get_pools",
        "/types",
    ],
    "image": ["/v2/images"],
    "placement": ["/resource_providers", "/resource_classes"],
    "key-manager": ["/v1/project-quotas"],
}
"""Of each API, what the auditor reads: of the platform, and of all tenants where there is anything."""

WRITES: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "identity": [
        ("POST", "/users", {"user": {"name": "intruder"}}),
        ("POST", "/domains", {"domain": {"name": "intruder"}}),
        ("POST", "/credentials", {"credential": {"type": "totp", "blob": "A", "user_id": NOWHERE}}),
        ("PUT", "/projects/{project}/users/{user}/roles/{admin}", {}),
    ],
    "compute": [
        ("POST", "/flavors", {"flavor": {"name": "x", "ram": 64, "vcpus": 1, "disk": 0}}),
        ("POST", "/os-keypairs", {"keypair": {"name": "x"}}),
        ("DELETE", "/servers/{server}", {}),
        ("POST", "/servers/{server}/action", {"os-stop": None}),
    ],
    "network": [
        ("POST", "/v2.0/networks", {"network": {"name": "x"}}),
        ("PUT", "/v2.0/ports/{port}", {"port": {"name": "x"}}),
        ("DELETE", "/v2.0/ports/{port}", {}),
        ("POST", "/v2.0/security-groups", {"security_group": {"name": "x"}}),
    ],
    "block-storage": [
        ("POST", "/volumes", {"volume": {"size": 1}}),
        ("DELETE", "/volumes/{volume}", {}),
        ("POST", "/types", {"volume_type": {"name": "x"}}),
    ],
    "image": [
        ("POST", "/v2/images", {"name": "x", "disk_format": "raw", "container_format": "bare"}),
        ("DELETE", "/v2/images/{image}", {}),
        ("GET", "/v2/images/{image}/file", {}),
    ],
    "placement": [
        ("POST", "/resource_providers", {"name": "x"}),
        ("POST", "/resource_classes", {"name": "CUSTOM_X"}),
    ],
    "key-manager": [
        ("POST", "/v1/secrets", {"name": "x"}),
        ("GET", "/v1/secrets", {}),
        ("PUT", f"/v1/project-quotas/{NOWHERE}", {"project_quotas": {"secrets": 1}}),
    ],
}
"""What it is refused: things of its own, and of others that are there."""


@pytest.fixture(scope="module")
def auditor(lab: Lab) -> Iterator[Any]:
    """The cloud as its auditor sees it."""
    connection = tenants.session_of(lab.site, as_=AUDITOR).connect()
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def known(cloud: Any) -> dict[str, str]:
    """Things that are there, of tenants and of the platform."""
    server = next(iter(cloud.compute.servers(all_projects=True)))
    return {
        "server": server.id,
        "port": next(iter(cloud.network.ports(device_id=server.id))).id,
        "volume": next(iter(cloud.block_storage.volumes(all_projects=True))).id,
        "image": next(iter(cloud.image.images())).id,
        "admin": cloud.identity.find_role("admin").id,
        "user": cloud.current_user_id,
        "project": cloud.current_project_id,
    }


def url(connection: Any, kind: str, path: str) -> str:
    """An address of an API, whose version is in the catalogue or in the path."""
    base = str(connection.session.get_endpoint(service_type=kind, interface="public")).rstrip("/")
    return base + path


def asked(lab: Lab, connection: Any, method: str, address: str, body: Any = None) -> requests.Response:
    headers = {"X-Auth-Token": connection.auth_token, "Accept": "application/json"}
    headers |= VERSION if address.startswith(url(connection, "placement", "")) else {}
    return requests.request(method, address, json=body, headers=headers, timeout=60, verify=str(lab.ca_file))


@pytest.mark.parametrize("kind", READS)
def test_the_auditor_reads_what_the_deployer_reads(lab: Lab, cloud: Any, auditor: Any, kind: str) -> None:
    for path in READS[kind]:
        own = asked(lab, auditor, "GET", url(auditor, kind, path))
        assert own.status_code == requests.codes.ok, f"{path}: {own.status_code} {own.text[:200]}"
        other = asked(lab, cloud, "GET", url(cloud, kind, path)).json()
        assert {k: len(v) for k, v in own.json().items() if isinstance(v, list)} == {
            k: len(v) for k, v in other.items() if isinstance(v, list)
        }, path


@pytest.mark.parametrize("kind", WRITES)
def test_the_auditor_changes_nothing(lab: Lab, auditor: Any, known: dict[str, str], kind: str) -> None:
    for method, path, body in WRITES[kind]:
        answer = asked(lab, auditor, method, url(auditor, kind, path.format(**known)), body or None)
        assert answer.status_code in REFUSED.get(kind, {403}), (
            f"{method} {path}: {answer.status_code} {answer.text[:200]}"
        )


def test_admin_is_closed(lab: Lab, cloud: Any) -> None:
    found = [u for u in cloud.identity.users(name="admin") if u.domain_id == "default"]
    assert [user.is_enabled for user in found] == [False]
    assert log_in(lab, "admin", "Default", "whatever").status_code == UNAUTHORIZED
