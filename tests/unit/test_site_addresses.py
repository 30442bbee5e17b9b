"""Prefixes of tenants: disjoint, inside the pool, and they stay where they are."""

from __future__ import annotations

import shutil
import tempfile
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socle.paths import project_root
from socle.site import load, register
from socle.site.addresses import Pool, PoolExhaustedError
from socle.site.registration import rendered, updated

LAB = project_root() / "inventories" / "lab"
LENGTHS = st.lists(st.integers(24, 29), max_size=60)


@given(LENGTHS)
def test_prefixes_are_disjoint_and_inside_the_pool(lengths: list[int]) -> None:
    pool = Pool(ip_network("10.78.0.0/16"))
    taken = [pool.take(length) for length in lengths]
    assert [prefix.prefixlen for prefix in taken] == lengths
    assert all(prefix.subnet_of(pool.pool) for prefix in taken)  # type: ignore[arg-type]
    ordered = sorted(taken, key=lambda prefix: int(prefix.network_address))
    assert all(int(one.broadcast_address) < int(two.network_address) for one, two in pairwise(ordered))


@given(LENGTHS, LENGTHS)
def test_what_was_given_is_never_given_again(first: list[int], second: list[int]) -> None:
    before = Pool(ip_network("10.78.0.0/16"))
    given_already = [before.take(length) for length in first]
    pool = Pool(ip_network("10.78.0.0/16"))
    assert all(pool.reserve(prefix) for prefix in given_already)
    new = [pool.take(length) for length in second]
    assert not any(one.overlaps(two) for one in given_already for two in new)


def test_a_pool_is_used_to_its_last_address() -> None:
    pool = Pool(ip_network("10.78.0.0/24"))
    assert len({pool.take(29) for _ in range(32)}) == 32
    with pytest.raises(PoolExhaustedError):
        pool.take(29)


def test_a_prefix_outside_the_pool_or_taken_is_refused() -> None:
    pool = Pool(ip_network("10.78.0.0/24"))
    assert not pool.reserve(ip_network("10.79.0.0/28"))
    assert pool.reserve(ip_network("10.78.0.16/28"))
    assert not pool.reserve(ip_network("10.78.0.16/28"))
    assert not pool.reserve(ip_network("10.78.0.0/27"))


def copy_of_lab(parent: Path) -> Path:
    folder = parent / "lab"
    shutil.copytree(LAB, folder)
    return folder


def add_tenant(folder: Path, siren: str, prefix: int = 28) -> None:
    """A copy of the first tenant under another SIREN, without servers."""
    text = (folder / "tenants" / "210000014.yml").read_text("utf-8").split("servers:")[0]
    text = text.replace("210000014", siren).replace("prefix: 28", f"prefix: {prefix}")
    (folder / "tenants" / f"{siren}.yml").write_text(text, "utf-8")


def make_room(folder: Path) -> None:
    text = (folder / "hosts.yml").read_text("utf-8").replace("ram_gib: 2", "ram_gib: 64")
    (folder / "hosts.yml").write_text(text, "utf-8")
    text = (folder / "site.yml").read_text("utf-8").replace("replicas: 1", "replicas: 1\n  overcommit: 10.0")
    (folder / "site.yml").write_text(text, "utf-8")


def test_a_new_tenant_moves_nobody_and_stays_itself(tmp_path: Path) -> None:
    folder = copy_of_lab(tmp_path)
    make_room(folder)
    before = load(folder).subnets
    add_tenant(folder, "200000016", 27)
    with_one = load(folder)
    assert {siren: with_one.subnets[siren] for siren in before} == before
    assert str(with_one.tenant_networks("200000016")[0].prefix) == "10.78.0.64/27"
    assert register(with_one)
    add_tenant(folder, "130000003", 27)
    with_two = load(folder)
    assert {siren: with_two.subnets[siren] for siren in with_one.subnets} == dict(with_one.subnets)


def test_the_registry_is_written_once(tmp_path: Path) -> None:
    folder = copy_of_lab(tmp_path)
    path = folder / "registry.yml"
    shipped = path.read_text("utf-8")
    assert not register(load(folder))
    path.unlink()
    assert register(load(folder))
    assert path.read_text("utf-8") == shipped
    assert not register(load(folder))
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in LAB.iterdir())


def test_a_certified_tenant_gives_its_prefix_back(tmp_path: Path) -> None:
    folder = copy_of_lab(tmp_path)
    make_room(folder)
    path = folder / "registry.yml"
    path.write_text(path.read_text("utf-8").replace("state: active", "state: certified", 1), "utf-8")
    (folder / "tenants" / "210000014.yml").rename(tmp_path / "210000014.yml")
    site = load(folder)
    assert updated(site).tenants["210000014"].prefixes == {}
    assert "    prefixes: {}\n" in rendered(updated(site))
    shutil.copy(tmp_path / "210000014.yml", folder / "tenants" / "210000014.yml")
    add_tenant(folder, "200000016")
    (folder / "tenants" / "210000014.yml").unlink()
    assert str(load(folder).tenant_networks("200000016")[0].prefix) == "10.78.0.0/28"


@settings(max_examples=15, deadline=None)
@given(st.permutations(["200000016", "130000003", "240000018"]))
def test_the_order_of_files_does_not_matter(order: list[str]) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = copy_of_lab(Path(parent))
        make_room(folder)
        for siren in order:
            add_tenant(folder, siren)
        prefixes = {siren: str(load(folder).tenant_networks(siren)[0].prefix) for siren in order}
    assert prefixes == {
        "130000003": "10.78.0.48/28",
        "200000016": "10.78.0.64/28",
        "240000018": "10.78.0.80/28",
    }
