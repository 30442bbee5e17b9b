"""Molecule: every playbook converges on the lab's deployed nodes, and changes nothing of them."""

from __future__ import annotations

import re

import pytest

from socle.deploy.described import ROOT, read_yaml
from tests.roles.lab import molecule

SCENARIOS = [
    play["ansible.builtin.import_playbook"].removesuffix(".yml")
    for play in read_yaml(ROOT / "playbooks/site.yml")
]
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS)


def test_every_playbook_has_its_scenario() -> None:
    found = {path.parent.name for path in (ROOT / "tests/roles/molecule").glob("*/molecule.yml")}
    assert found == set(SCENARIOS)


@each_scenario
def test_converges_and_changes_nothing(scenario: str) -> None:
    done = molecule(scenario)
    if done.returncode != 0:
        pytest.fail(f"molecule ended with {done.returncode} for {scenario}:\n{told(done.stdout)}")
    recaps = re.split(r"^PLAY RECAP.*$", done.stdout, flags=re.MULTILINE)[1:]
    assert len(recaps) == 1, told(done.stdout)
    hosts = re.findall(r"^(\S+) +: ok=(\d+) +changed=(\d+)", recaps[0], re.MULTILINE)
    assert hosts, f"no host was played:\n{told(done.stdout)}"
    assert {changed for _host, _ok, changed in hosts} == {"0"}, told(done.stdout)


def told(text: str) -> str:
    """The part that explains a failure: what went wrong with its task, and the recapitulation."""
    lines = text.splitlines()
    wrong = re.compile(r"fatal:|FAILED|ERROR|CRITICAL|Idempotence|^\* \[|changed:|unreachable:")
    hits = [number for number, line in enumerate(lines) if wrong.search(line)]
    shown = sorted({near for hit in hits for near in range(max(0, hit - 3), min(len(lines), hit + 12))})
    return "\n".join(lines[number] for number in shown) or "\n".join(lines[-40:])
