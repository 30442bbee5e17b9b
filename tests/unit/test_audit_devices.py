"""Audit devices that cannot be written, noticed while OpenBao still answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from socle import vault
from socle.deploy.status.openbao import audit_section
from socle.errors import SocleError
from socle.vault import audit, login, remote
from socle.vault.place import Place
from tests.unit.openbao_server import Server, begun, short_folder

DAY = 40


@pytest.mark.parametrize(
    ("device", "leads", "word"),
    [
        ((5000, 9999, DAY, 0.5), True, None),
        ((1023, 9999, 0, 0.5), True, "1023 MiB are free"),
        ((1500, 9999, 200, 0.5), True, "expected 2000"),
        ((5000, 99, DAY, 0.5), True, "99 files"),
        ((5000, 9999, DAY, 31), True, "31 s ago was the last entry"),
        ((5000, 9999, DAY, None), True, "does not record: nothing"),
        ((5000, 9999, DAY, 86400), False, None),
        ((50, 9999, None, 0.5), True, None),
        ((50, 9999, None, 31), True, "31 s ago was the last entry"),
    ],
)
def test_thresholds(device: tuple[int, int, int | None, float | None], leads: bool, word: str | None) -> None:
    fault = audit.fault_of(*device, leads=leads)
    assert fault is None if word is None else word in (fault or "")


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Place, Path]]:
    """A prepared server with two devices in a folder; what goes by SSH is done here."""
    with short_folder() as folder, begun(monkeypatch) as (server, place):
        yield server, place, folder


def with_devices(server: Server, place: Place, patch: pytest.MonkeyPatch, *paths: Path) -> None:
    server.stop()
    server.audits = paths
    server.configure()
    server.start()
    patch.setattr(remote, "run", lambda _place, _node, _command, script: here(server, script))
    vault.prepare(place)


def here(server: Server, script: str) -> str:
    command = [sys.executable, "-", str(server.folder / "bao.hcl")]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout


def test_a_device_whose_file_was_moved_is_noticed(
    running: tuple[Server, Place, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, place, folder = running
    first, second = folder / "first.log", folder / "second.log"
    with_devices(server, place, monkeypatch, first, second)
    monkeypatch.setattr(audit, "FREE_MIB", 1)
    assert [(d.name, d.fault) for d in audit.devices(place)] == [("file/first", None), ("file/second", None)]
    assert audit_section(place).well
    second.rename(folder / "moved.log")
    (well, ill) = audit.devices(place)
    assert well.fault is None
    assert "does not record" in (ill.fault or "")
    assert vault.secret(place, "deployer/identity"), "OpenBao answers still: one device is enough for it"
    assert not audit_section(place).well


@pytest.mark.slow
def test_a_disk_that_fills_is_noticed_before_openbao_stops(
    running: tuple[Server, Place, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, place, folder = running
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], check=True)
    try:
        with_devices(server, place, monkeypatch, disk / "first.log", disk / "second.log")
        monkeypatch.setattr(audit, "FREE_MIB", 3)
        assert [device.fault for device in audit.devices(place)] == [None, None]
        fill(disk / "other", 3)
        assert all("make room" in (device.fault or "") for device in audit.devices(place))
        assert vault.secret(place, "deployer/identity"), "it was noticed in time"
        fill(disk / "more", 6)
        with pytest.raises(SocleError):
            log_in_until_refused(place)
        assert "OpenBao refuses a login" in (audit.devices(place)[0].fault or "")
    finally:
        server.stop()
        server.audits = ()
        subprocess.run(["umount", str(disk)], check=True)
        server.configure()
        server.start()


def log_in_until_refused(place: Place) -> None:
    for _ in range(100):
        login.deployer(place)


def fill(path: Path, mib: int) -> None:
    """Write until so much is there or the disk is full."""
    with path.open("wb", buffering=0) as stream:
        for _ in range(mib * 256):
            try:
                stream.write(bytes(4096))
            except OSError:
                return
