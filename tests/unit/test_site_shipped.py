"""The sites that ship with the kit, their schemas, and the headers by which editors find them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from socle.paths import project_root
from socle.site import load, schema
from socle.site.capacity import site_capacity_of

INVENTORIES = project_root() / "inventories"
YAML_FILES = sorted(
    [*INVENTORIES.rglob("*.yml"), project_root() / "src" / "socle" / "catalogue" / "services.yml"],
    key=str,
)
HEADER = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


def name(path: Path) -> str:
    """A file as the project names it."""
    return str(path.relative_to(project_root()))


def as_json(value: Any) -> Any:
    """What an editor's JSON Schema check sees: dates are text."""
    return json.loads(json.dumps(value, default=str))


def test_the_lab() -> None:
    site = load(INVENTORIES / "lab")
    assert (site.name, site.region, site.domain) == ("lab", "lab", "lab.socle.test")
    assert {host.name: host.address for host in site.hosts.values()} == {
        "ctl1": "10.77.0.11",
        "cmp1": "10.77.0.21",
        "cmp2": "10.77.0.22",
        "sto1": "10.77.0.31",
        "sec1": "10.77.0.41",
    }
    assert [host.name for host in site.group("gateways")] == ["cmp1", "cmp2"]
    assert site.hosts["cmp1"].interfaces["provider"] == "provider"
    assert "provider" not in site.hosts["cmp1"].addresses
    assert not site.hosts["cmp1"].capabilities.kvm
    assert [osd.file_gib for osd in site.hosts["sto1"].osds] == [10]
    assert sum(len(tenant.servers) for tenant in site.tenants.values()) <= 3
    assert str(site.tenant_networks("210000014")[0].prefix) == "10.78.0.0/28"
    assert str(site.tenant_networks("210000014")[0].gateway) == "10.78.0.1"
    assert site.tenant_state("210000014") == "active"


def test_the_model_site() -> None:
    site = load(INVENTORIES / "modele-gip")
    assert len({host.room for host in site.hosts.values()}) == 2
    assert {group: len(site.group(group)) for group in ("controllers", "vault", "gateways")} == {
        "controllers": 3,
        "vault": 3,
        "gateways": 2,
    }
    assert len(site.group("computes")) >= 6
    assert len(site.group("storage")) >= 3
    assert len(site.people.custodians) == site.openbao.shares == 5
    assert site.openbao.threshold == 3
    kinds = {tenant.organisation.type for tenant in site.tenants.values()}
    assert kinds == {"commune", "epci", "departement", "syndicat", "hopital"}
    assert len(site.tenants) == 12
    assert all(site.hosts[name].capabilities.kernel for name in site.hosts)
    assert len(site.segments.segments) == 4


def test_the_schemas_are_what_the_models_say() -> None:
    stale = [name(path) for path in schema.stale()]
    assert not stale, "run: python -m socle.site.schema"


@pytest.mark.parametrize("path", YAML_FILES, ids=name)
def test_every_file_names_its_schema_and_obeys_it(path: Path) -> None:
    text = path.read_text("utf-8")
    header = HEADER.match(text)
    assert header, "the first line names the schema"
    found = (path.parent / header.group(1)).resolve()
    assert found.parent == schema.folder()
    rules = json.loads(found.read_text("utf-8"))
    Draft202012Validator.check_schema(rules)
    value = as_json(YAML(typ="safe", pure=True).load(text))
    problems = [error.message for error in Draft202012Validator(rules).iter_errors(value)]
    assert problems == []


def test_a_schema_refuses_what_the_model_refuses() -> None:
    rules = json.loads((schema.folder() / "tenant.schema.json").read_text("utf-8"))
    path = INVENTORIES / "lab" / "tenants" / "260000013.yml"
    value = as_json(YAML(typ="safe", pure=True).load(path.read_text("utf-8")))
    validator = Draft202012Validator(rules)
    assert validator.is_valid(value)
    unmarked = {**value, "data": {**value["data"], "health_data": False}}
    assert not validator.is_valid(unmarked)
    assert not validator.is_valid({**value, "sise": "S"})


def test_capacity_of_the_lab() -> None:
    capacity = site_capacity_of(load(INVENTORIES / "lab"))
    assert (capacity.vcpu, capacity.ram_gib, capacity.volume_gib, capacity.public_ips) == (32, 3, 10, 101)
