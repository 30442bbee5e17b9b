"""Filters of roles: password hashes against published values, and questions to the catalogue."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from socle import catalogue

FILTERS = Path(__file__).parents[2] / "plugins/filter"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"filter_{name}", FILTERS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def entries() -> dict[str, Any]:
    return {n: c.model_dump(mode="json", by_alias=True) for n, c in catalogue.load().components.items()}


def test_mariadb_hash_is_the_one_of_the_manual() -> None:
    """SELECT PASSWORD('mariadb'), https://mariadb.com/kb/en/password/."""
    assert load("passwords").mariadb_password("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_rabbitmq_hash_is_salted_sha256_and_stays_the_same() -> None:
    made = load("passwords").rabbitmq_password("test12")
    raw = base64.b64decode(made)
    assert raw[4:] == hashlib.sha256(raw[:4] + b"test12").digest()
    assert load("passwords").rabbitmq_password("test12") == made
    assert load("passwords").rabbitmq_password("test13")[:6] != made[:6]


def test_every_front_end_has_its_own_port_on_each_address(entries: dict[str, Any]) -> None:
    published = load("catalogue").published(entries)
    bound = [(zone, entry["port"]) for entry in published for zone in entry["zones"]]
    assert len(bound) == len(set(bound))
    assert ("api", 443) in bound
    assert all(entry["health"] for entry in published if entry["http"])


def test_database_and_queue_accounts_have_their_secret(entries: dict[str, Any]) -> None:
    filters = load("catalogue")
    for account in filters.database_accounts(entries):
        assert "database" in entries[account["name"]]["secrets"], account
    for name in filters.queue_accounts(entries):
        assert "queue" in entries[name]["secrets"], name


def test_certificates_of_a_controller_and_of_a_vault_node(entries: dict[str, Any]) -> None:
    site = {
        "domain": "gip.test",
        "openbao": {"name": "openbao.gip.test"},
        "endpoints": {
            "internal": {"name": "internal.gip.test", "address": "10.0.0.10"},
            "public": {"name": "cloud.gip.test", "address": "10.0.1.10"},
        },
    }
    filters = load("catalogue")
    node = {"name": "ctl1", "addresses": {"admin": "10.0.0.11"}, "components": ["base", "haproxy"]}
    endpoints, proxy = filters.host_certificates(entries, node, site)
    assert (proxy["name"], proxy["names"], proxy["addresses"]) == (
        "proxy",
        ["ctl1.gip.test", "ctl1"],
        ["10.0.0.11"],
    )
    assert endpoints["name"] == "endpoints"
    assert endpoints["names"] == ["internal.gip.test", "cloud.gip.test"]
    assert endpoints["addresses"] == ["10.0.0.10", "10.0.1.10"]
    node = {"name": "sec1", "addresses": {"admin": "10.0.0.41"}, "components": ["base", "openbao"]}
    (own,) = filters.host_certificates(entries, node, site)
    assert own["names"] == ["sec1.gip.test", "sec1", "openbao.gip.test"]
    assert own["addresses"] == ["10.0.0.41"]
    assert filters.host_certificates(entries, {**node, "components": ["base"]}, site) == []
