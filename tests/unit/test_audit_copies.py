"""Copies as the audit judges them: what is in them, how they come, and how old those of the watch are."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from socle import durable, vault
from socle.audit.collect import openbao_copies, watch
from socle.errors import SocleError
from socle.paths import project_root
from socle.site import load
from socle.vault import snapshots
from socle.vault.place import Place
from tests.unit.openbao_server import Server, begun

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def prepared() -> Iterator[tuple[Server, Place]]:
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (server, place):
        vault.prepare(place)
        yield server, place


def packed(state: bytes) -> bytes:
    """A copy with this state in it, whole."""
    parts = {"meta.json": b"{}", "state.bin": state}
    sums = "".join(f"{hashlib.sha256(part).hexdigest()}  {name}\n" for name, part in parts.items())
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, part in {**parts, snapshots.SUMS: sums.encode()}.items():
            told = tarfile.TarInfo(name)
            told.size = len(part)
            archive.addfile(told, io.BytesIO(part))
    return target.getvalue()


def entry(key: bytes, value: bytes) -> bytes:
    """One entry of the storage, shorter than 128 bytes."""
    message = bytes([10, len(key)]) + key + bytes([18, len(value)]) + value
    return bytes([len(message)]) + message


def test_all_of_a_real_copy_is_cipher_text(prepared: tuple[Server, Place], tmp_path: Path) -> None:
    _server, place = prepared
    snapshots.take(place, tmp_path / "snap")
    told = durable.read_json(place.folder / snapshots.TAKEN)
    assert (told["in_clear"], told["entries"] > 50) == ([], True)


def test_what_the_barrier_did_not_encrypt_is_found() -> None:
    cipher = bytes([0, 0, 0, 1, 2]) + bytes(range(40))
    good = entry(b"sys/policy/x", cipher) + entry(b"core/seal-config", b"{}")
    assert snapshots.sealed(packed(good)) == snapshots.Sealed(2, ())
    for clear in (b'{"data": "x"}' * 4, bytes(5) + bytes(40), cipher[:20], gzip.compress(b"x" * 40)):
        assert snapshots.sealed(packed(good + entry(b"logical/x", clear))).in_clear == ("logical/x",)
    with pytest.raises(SocleError, match="no whole snapshot"):
        snapshots.sealed(packed(good[:-1]))


def test_a_byte_that_was_changed_anywhere_is_a_damaged_copy_or_changes_nothing() -> None:
    whole = packed(entry(b"sys/policy/x", bytes([0, 0, 0, 1, 2]) + bytes(range(40))) * 30)
    damaged = 0
    for place in range(len(whole)):
        try:
            snapshots.check(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :], "x")
        except SocleError:
            damaged += 1
    assert damaged > len(whole) * 0.9
    with pytest.raises(SocleError, match="no whole snapshot"):
        snapshots.sealed(packed(bytes([2, 18, 0])))


def test_the_link_is_negotiated_and_refuses_what_is_in_clear(prepared: tuple[Server, Place]) -> None:
    _server, place = prepared
    assert openbao_copies._handshake(place, place.nodes[0])[0] == "TLSv1.3"
    assert openbao_copies._answers_in_clear(place.nodes[0]) is False


def test_an_address_is_at_the_place_of_its_prefix() -> None:
    site = load(project_root() / "inventories/lab")
    assert openbao_copies._place_of(site, "10.77.0.1") == {"name": "salle-1", "country": "FR"}
    assert openbao_copies._place_of(site, "192.0.2.1") is None


def test_a_copy_is_as_old_as_its_newest_record_says(tmp_path: Path) -> None:
    for day in (3, 20):
        told = {"id": f"GO-2026-{day}", "modified": (NOW - timedelta(days=day)).isoformat(), "affected": []}
        (tmp_path / "ID").mkdir(exist_ok=True)
        (tmp_path / "ID" / f"{day}.json").write_text(json.dumps(told), "utf-8")
    assert watch.osv(tmp_path, NOW) == {"entries": 2, "age_days": 3.0}
    assert watch.osv(tmp_path / "none", NOW) == {"entries": 0, "age_days": None}


def test_debians_tracker_is_as_old_as_its_copy(tmp_path: Path) -> None:
    file = tmp_path / "tracker.json"
    file.write_text(
        json.dumps({"glibc": {"CVE-2026-1": {}, "TEMP-1": {}}, "zlib": {"CVE-2026-1": {}}}), "utf-8"
    )
    old = (NOW - timedelta(days=9)).timestamp()
    os.utime(file, (old, old))
    assert watch.tracker(file, NOW) == {"entries": 1, "age_days": 9.0}
    file.write_text("<html>", "utf-8")
    assert watch.tracker(file, NOW) == {"entries": 0, "age_days": None}


def test_a_site_that_names_no_copy_is_not_evaluated() -> None:
    (fact,) = watch._read(load(project_root() / "inventories/lab"))
    assert "aucune copie locale" in (fact.problem or "")
