"""What the roles of Ceph make of a list of hosts, and the module of what it finds in a cluster."""

from __future__ import annotations

import importlib.util
import uuid
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from socle.paths import project_root

FSID = "1f8e8bb1-faf0-4ac9-80fe-5cdc15d4ab3f"
POOLS = [{"name": "volumes", "application": "rbd"}]
USER = {"name": "client.cinder", "key": "AQ==", "capabilities": {"mon": "profile rbd"}}


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, project_root() / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILTERS: dict[str, Any] = load("plugins/filter/ceph.py").FilterModule().filters()


@pytest.mark.parametrize(("hosts", "monitors"), [("a", "a"), ("ab", "a"), ("abc", "abc"), ("abcde", "abc")])
def test_monitors_are_three_or_one(hosts: str, monitors: str) -> None:
    assert FILTERS["ceph_monitors"](list(hosts)) == list(monitors)


def test_no_host_keeps_two_copies() -> None:
    assert [FILTERS["ceph_copies"](3, ["h"] * hosts) for hosts in (1, 2, 3, 9)] == [1, 2, 3, 3]


@pytest.mark.parametrize(("osds", "copies", "groups"), [(1, 1, 16), (12, 3, 64), (72, 3, 256), (0, 1, 16)])
def test_placement_groups_follow_the_number_of_osds(osds: int, copies: int, groups: int) -> None:
    assert FILTERS["ceph_placement_groups"](osds, copies, 3) == groups


class Monitors:
    """A cluster's monitors that remember what they were told."""

    def __init__(self) -> None:
        self.cluster = SimpleNamespace(get_fsid=lambda: FSID)
        self.users: dict[str, dict[str, Any]] = {}
        self.pools: list[dict[str, Any]] = []
        self.rules = [{"rule_name": "replicated_rule", "rule_id": 0}]
        self.osds: list[dict[str, Any]] = []
        self.mutes: list[dict[str, str]] = []

    def ask(self, prefix: str, payload: str = "", missing: Any = None, **wanted: Any) -> Any:
        answer: Any = getattr(self, prefix.replace(" ", "_").replace("-", "_"))(payload, **wanted)
        return missing if answer is None else answer

    def auth_get(self, _payload: str, entity: str) -> Any:
        return [self.users[entity]] if entity in self.users else None

    def auth_import(self, payload: str) -> Any:
        lines = payload.splitlines()
        caps = dict(line.removeprefix("caps ").split(" = ") for line in lines[2:])
        user = {"key": lines[1].removeprefix("key = "), "caps": {k: v.strip('"') for k, v in caps.items()}}
        self.users[lines[0].strip("[]")] = user
        return {}

    def osd_crush_rule_dump(self, _payload: str) -> Any:
        return self.rules

    def osd_crush_rule_create_replicated(self, _payload: str, name: str, **_rest: Any) -> Any:
        self.rules.append({"rule_name": name, "rule_id": len(self.rules)})
        return {}

    def osd_pool_ls(self, _payload: str, detail: str) -> Any:
        return self.pools

    def osd_pool_create(self, _payload: str, pool: str, pg_num: int, rule: str, **_rest: Any) -> Any:
        number = next(r["rule_id"] for r in self.rules if r["rule_name"] == rule)
        entry = {"pool_name": pool, "pg_num_target": pg_num, "crush_rule": number, "size": 3, "min_size": 2}
        self.pools.append({**entry, "application_metadata": {}})
        return {}

    def osd_pool_set(self, _payload: str, pool: str, var: str, val: str, **_rest: Any) -> Any:
        entry = next(p for p in self.pools if p["pool_name"] == pool)
        entry["pg_num_target" if var == "pg_num" else var] = int(val)
        return {}

    def osd_pool_application_enable(self, _payload: str, pool: str, app: str) -> Any:
        next(p for p in self.pools if p["pool_name"] == pool)["application_metadata"][app] = {}
        return {}

    def health(self, _payload: str) -> Any:
        return {"mutes": self.mutes}

    def health_mute(self, _payload: str, code: str, **_rest: Any) -> Any:
        self.mutes.append({"code": code})
        return {}

    def osd_dump(self, _payload: str) -> Any:
        return {"osds": self.osds}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loaded = load("plugins/modules/ceph_cluster.py")
    monkeypatch.setattr(loaded, "OSDS", str(tmp_path))
    return loaded


def told(
    module: ModuleType, monitors: Monitors, check: bool = False, copies: int = 1, groups: int = 16
) -> list[str]:
    cluster = module.Cluster(SimpleNamespace(check_mode=check), monitors)
    cluster.user(USER)
    cluster.pools(POOLS, copies, groups)
    cluster.mute(["NOISE"])
    changes: list[str] = cluster.changes
    return changes


def test_pools_and_keys_are_made_once(module: ModuleType) -> None:
    monitors = Monitors()
    first = told(module, monitors)
    assert {"key of client.cinder", "pool volumes", "pool volumes: size 1", "muted NOISE"} <= set(first)
    assert monitors.users["client.cinder"] == {"key": "AQ==", "caps": {"mon": "profile rbd"}}
    assert told(module, monitors) == []


def test_check_mode_changes_nothing(module: ModuleType) -> None:
    monitors = Monitors()
    assert "pool volumes" in told(module, monitors, check=True)
    assert (monitors.users, monitors.pools, monitors.mutes) == ({}, [], [])


def test_a_key_that_somebody_changed_is_put_back(module: ModuleType) -> None:
    monitors = Monitors()
    told(module, monitors)
    monitors.users["client.cinder"]["key"] = "other"
    assert told(module, monitors) == ["key of client.cinder"]


def test_placement_groups_grow_and_never_shrink(module: ModuleType) -> None:
    monitors = Monitors()
    told(module, monitors)
    assert told(module, monitors, groups=64) == ["pool volumes: pg_num 64"]
    assert told(module, monitors, groups=16) == []


def osd(state: str) -> dict[str, Any]:
    return {"uuid": str(uuid.uuid5(uuid.UUID(FSID), "sto1/file-0")), "osd": 4, "state": ["exists", state]}


def osds(module: ModuleType, monitors: Monitors) -> tuple[list[str], list[str]]:
    cluster = module.Cluster(SimpleNamespace(check_mode=True), monitors)
    return cluster.osds([{"file_gib": 10}], "sto1", True), cluster.changes


def test_an_osd_that_is_there_is_left_alone(module: ModuleType, tmp_path: Path) -> None:
    monitors = Monitors()
    monitors.osds = [osd("up")]
    (tmp_path / "ceph-4").mkdir()
    (tmp_path / "ceph-4/mkfs_done").touch()
    assert osds(module, monitors) == (["ceph-osd@4.service"], [])


def test_an_osd_that_never_served_is_finished(module: ModuleType) -> None:
    monitors = Monitors()
    monitors.osds = [osd("new")]
    assert osds(module, monitors) == ([], ["OSD on a file of 10 GiB"])


def test_an_osd_that_served_is_never_made_again(module: ModuleType) -> None:
    monitors = Monitors()
    monitors.osds = [osd("up")]
    with pytest.raises(module.CephError, match=r"osd\.4 has served .* `ceph osd purge 4 "):
        osds(module, monitors)
