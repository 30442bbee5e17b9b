"""Asking a store of logs: the node's own program, behind a shell instead of SSH."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from socle.errors import SocleError
from socle.logs import asking
from socle.logs.store import NodeLog
from socle.paths import project_root
from socle.site import Site, load
from stacks.tenant.plan import domain_name
from tests.unit.test_logs_events import SECONDS, called, logged

NAMED = "Mairie\u2028de\u2029l\x85été \ud800 \r\x0c\x1c"
"""A name as a caller of an API may send it, with what other programs take for the end of a line."""

SETTINGS = {"events_of": ["nova-api.service"]}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    (tmp_path / "logs.json").write_text(
        json.dumps(SETTINGS | {"store": str(tmp_path / "store")}), encoding="utf-8"
    )
    program = shlex.join([sys.executable, "-m", "socle.logs.node", str(tmp_path / "logs.json")])
    monkeypatch.setenv("PYTHONPATH", str(project_root() / "src"))
    monkeypatch.setattr(asking, "PROGRAM", program)
    monkeypatch.setattr(asking, "ssh", lambda _site, _host: ["sh", "-c", 'eval "${1#sudo -n }"', "sh"])
    return load(project_root() / "inventories/lab")


def test_what_a_caller_names_ends_no_line(lab: Site, tmp_path: Path) -> None:
    call = called("e1", "p1")
    call["initiator"]["name"] = NAMED
    odd = {"__REALTIME_TIMESTAMP": "1", "MESSAGE": f"marker {NAMED}".replace("\ud800", "")}
    NodeLog(tmp_path / "store/ctl1").append([logged("audit.http.response", call), odd])  # type: ignore[list-item]
    moment = datetime.fromtimestamp(SECONDS, UTC)
    (event,) = asking.events(lab, ["p1"], moment, moment.replace(minute=59))
    assert json.loads(event)["who"]["name"] == NAMED
    (entry,) = asking.search(lab, "marker")
    assert json.loads(entry)["MESSAGE"] == odd["MESSAGE"]
    assert list(asking.search(lab, "nowhere to be found")) == []


class Keystone:
    """Two tenants' domains, and what stands in no tenant's."""

    asked = 0

    def listed(self, *held: tuple[str, str]) -> list[SimpleNamespace]:
        self.asked += 1
        return [SimpleNamespace(id=name, name=name, domain_id=domain) for name, domain in held]

    def domains(self) -> list[SimpleNamespace]:
        return self.listed(*((domain_name(siren), "") for siren in ("210000014", "210000022")))

    def projects(self) -> list[SimpleNamespace]:
        return self.listed(("p1", domain_name("210000014")), ("p2", domain_name("210000022")))

    def users(self) -> list[SimpleNamespace]:
        return self.listed(("u1", domain_name("210000014")), ("admin", "default"))


def test_tenants_are_known_by_three_questions() -> None:
    keystone = Keystone()
    found = asking.tenant_ids(SimpleNamespace(identity=keystone), ["210000014", "210000022"])
    assert found == {
        "210000014": {domain_name("210000014"), "p1", "u1"},
        "210000022": {domain_name("210000022"), "p2"},
    }
    assert keystone.asked == 3


def test_a_tenant_that_the_cloud_does_not_know_is_named() -> None:
    with pytest.raises(SocleError, match="260000013: has no domain in the cloud"):
        asking.tenant_ids(SimpleNamespace(identity=Keystone()), ["210000014", "260000013"])
