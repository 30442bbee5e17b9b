"""States of stacks as the audit reads them: a secret in clear is found, a sealed one is not read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from socle.audit.collect import stacks
from socle.audit.collect.stacks import SEALED, of_stacks, read_states
from socle.paths import project_root
from socle.site import Site, load
from socle.tenants.state import StackFiles


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    monkeypatch.setattr(stacks, "folder_of", lambda _site: tmp_path)
    return load(project_root() / "inventories" / "lab")


def lay(folder: Path, name: str, resources: list[dict[str, Any]], url: str) -> None:
    files = StackFiles(name, folder)
    files.state.parent.mkdir(parents=True, exist_ok=True)
    latest = {"resources": resources, "secrets_providers": {"state": {"url": url, "encryptedkey": "…"}}}
    files.state.write_text(json.dumps({"checkpoint": {"latest": latest}}), "utf-8")


def test_what_stands_in_clear_under_the_name_of_a_secret_is_found(site: Site, tmp_path: Path) -> None:
    sealed = {"type": "user", "inputs": {"password": {SEALED: "1b47", "ciphertext": "v1:…"}}, "outputs": {}}
    leaked = {"type": "user", "inputs": {"name": "x", "deep": [{"adminPassword": "hunter2"}]}}
    lay(tmp_path, "platform", [sealed], "hashivault://stack-platform")
    lay(tmp_path, of_stacks(site)[1], [sealed, leaked], "hashivault://stack-platform")
    facts = {fact.subject: fact for fact in read_states(site)}
    assert facts["platform"].value["in_clear"] == []
    assert facts["platform"].value["own_key"] is True
    other = facts[of_stacks(site)[1]]
    assert other.value["in_clear"] == ["user inputs/deep/adminPassword"]
    assert other.value["own_key"] is False
    assert "hunter2" not in other.model_dump_json()
    assert facts[of_stacks(site)[2]].problem == "aucun état sur la machine qui déploie"


def test_a_damaged_state_is_no_reading(site: Site, tmp_path: Path) -> None:
    lay(tmp_path, "platform", [], "")
    StackFiles("platform", tmp_path).state.write_text("{", "utf-8")
    facts = {fact.subject: fact for fact in read_states(site)}
    assert "is damaged" in (facts["platform"].problem or "")
