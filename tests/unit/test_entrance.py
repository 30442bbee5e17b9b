"""How the deploying machine comes in: what ssh asks for before it connects, and what it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from socle import catalogue, vault
from socle.deploy import certificate
from socle.deploy.playbook import unreachable
from socle.errors import ExitCode, SocleError
from socle.paths import project_root, state_dir
from socle.site import Site, load
from socle.site.entrance import (
    ASKING,
    AUTHORITY_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
    SETTINGS_FILE,
    reason,
    renewing,
    trusted_authority,
    write_settings,
)
from socle.vault import remote, ssh
from socle.vault.place import Place
from tests.unit.openbao_server import Server

REFUSAL = "no new SSH certificate: OpenBao is sealed"


@pytest.fixture(scope="module")
def site() -> Site:
    return load(project_root() / "inventories/lab")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once ssh asked for a certificate; the asking fails."""
    program, seen = tmp_path / "a program", tmp_path / "asked"
    program.write_text(f"#!/bin/sh\necho \"$*\" >'{seen}'\necho '{REFUSAL}' >&2\nexit 6\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    line = renewing(tmp_path / "a site", tmp_path, ["ctl1", "10.77.0.11"])
    (tmp_path / SETTINGS_FILE).write_text(f"{line}\nHost ctl1\n  HostName 127.0.0.1\n  Port 9\n")
    return seen


def connect(folder: Path, node: str, *options: str) -> str:
    command = ["ssh", *options, "-F", str(folder / SETTINGS_FILE), "-o", "BatchMode=yes", node, "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.stderr


def test_nothing_is_asked_before_there_is_an_authority(asked: Path, tmp_path: Path) -> None:
    connect(tmp_path, "ctl1")
    assert not asked.exists()


@pytest.mark.parametrize(("minutes", "wanted"), [(None, True), (1, False), (119, False), (121, True)])
def test_an_old_or_missing_certificate_is_renewed(
    asked: Path, tmp_path: Path, minutes: int | None, wanted: bool
) -> None:
    (tmp_path / AUTHORITY_FILE).write_text("ssh-ed25519 AAAA\n")
    if minutes is not None:
        (tmp_path / CERTIFICATE_FILE).touch()
        then = (tmp_path / CERTIFICATE_FILE).stat().st_mtime - 60 * minutes
        os.utime(tmp_path / CERTIFICATE_FILE, (then, then))
    connect(tmp_path, "ctl1")
    assert asked.exists() is wanted


def test_what_asks_for_a_certificate_does_not_ask_again_by_its_own_session(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / AUTHORITY_FILE).write_text("ssh-ed25519 AAAA\n")
    monkeypatch.setenv(ASKING, "yes")
    connect(tmp_path, "ctl1")
    assert not asked.exists()


def test_other_hosts_are_none_of_its_business(asked: Path, tmp_path: Path) -> None:
    (tmp_path / AUTHORITY_FILE).write_text("ssh-ed25519 AAAA\n")
    connect(tmp_path, "127.0.0.1", "-p", "9")
    assert not asked.exists()


def test_why_there_is_no_certificate_is_the_reason_that_is_told(asked: Path, tmp_path: Path) -> None:
    (tmp_path / AUTHORITY_FILE).write_text("ssh-ed25519 AAAA\n")
    said = connect(tmp_path, "ctl1")
    assert asked.read_text().split() == ["-m", "socle.deploy.certificate", str(tmp_path / "a"), "site"]
    assert reason(said, "").startswith(REFUSAL)
    assert "Connection refused" in reason(said, "")
    assert reason("one\ntwo\n", "") == "two"
    assert reason("", "status 255") == "status 255"


def test_a_site_of_machines_gets_settings_and_the_labs_are_left_alone(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    settings = state_dir(site.name) / SETTINGS_FILE
    write_settings(site)
    write_settings(site)
    given = subprocess.check_output(["ssh", "-G", "-F", settings, "ctl1"], text=True).splitlines()
    assert f"hostname {site.hosts['ctl1'].address}" in given
    assert f"user {site.settings.deploy_user}" in given
    keys = [line for line in given if line.startswith("identityfile ")]
    assert keys[0] == f"identityfile {state_dir(site.name) / KEY_FILE}"
    assert "identityfile ~/.ssh/id_ed25519" in keys
    settings.write_text("Host *\n")
    write_settings(site)
    assert settings.read_text() == "Host *\n"


def test_nodes_are_told_the_authority_once_this_machine_has_its_certificate(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    (state_dir(site.name) / AUTHORITY_FILE).write_text("ssh-ed25519 AAAA\n")
    assert trusted_authority(site) == ""
    (state_dir(site.name) / CERTIFICATE_FILE).touch()
    assert trusted_authority(site) == "ssh-ed25519 AAAA"
    assert "socle vault unseal" in str(unreachable(site, "ctl1", "Permission denied (publickey)."))


@pytest.fixture
def opened(place: Place, site: Site, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A prepared OpenBao that stands for the lab's."""
    vault.prepare(place)
    (place.state.parent / site.name).symlink_to(place.state)
    monkeypatch.setattr(vault, "place_of", lambda *_a: place)
    return place


def test_a_run_opens_openbao_to_come_in_and_a_session_does_not(
    opened: Place, server: Server, site: Site
) -> None:
    assert certificate.come_in(site)
    assert not certificate.come_in(site)
    mine = opened.state / CERTIFICATE_FILE
    assert 3 * 3600 < ssh.seconds_left(mine) <= 4 * 3600
    mine.unlink()
    server.restart()
    with pytest.raises(SocleError, match="sealed") as refused:
        certificate.renew(site)
    assert refused.value.exit_code == ExitCode.UNREACHABLE
    assert not mine.exists()
    assert certificate.come_in(site)
    assert mine.exists()


def test_a_refusal_is_remembered_for_a_while(
    opened: Place, server: Server, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.restart()
    for _time in range(2):
        with pytest.raises(SocleError, match="sealed"):
            certificate.renew(site)
        monkeypatch.setattr(vault, "ssh_certificate", lambda _p: pytest.fail("asked again at once"))
    assert (opened.state / certificate.REFUSED).exists()


def test_a_certificate_of_a_former_authority_is_renewed(opened: Place, site: Site, tmp_path: Path) -> None:
    certificate.come_in(site)
    former = ssh.new_key(tmp_path, "former")
    sign = ["ssh-keygen", "-q", "-s", former, "-I", "x", "-n", "socle", "-V", "+4h"]
    subprocess.run([*sign, opened.state / f"{KEY_FILE}.pub"], check=True, capture_output=True)
    assert certificate.come_in(site)
    assert not certificate.come_in(site)


def test_a_key_whose_making_was_killed_is_made_or_completed(
    opened: Place, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, content: bytes) -> None:
        path.write_bytes(content)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ssh.durable, "write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            certificate.come_in(site)
    assert not (opened.state / KEY_FILE).exists()
    assert certificate.come_in(site)
    (opened.state / CERTIFICATE_FILE).unlink()
    (opened.state / f"{KEY_FILE}.pub").unlink()
    assert certificate.come_in(site)


def test_what_is_told_after_ssh_fails_is_what_this_machine_ran(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    place = vault.place_of(site, catalogue.load())
    node = place.nodes[0]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text("#!/bin/sh\necho Connection refused >&2\nexit 255\n")
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")

    def advice() -> list[str]:
        with pytest.raises(SocleError) as caught:
            remote.run(place, node, "true")
        return [str(caught.value.write), str(unreachable(site, "sec1", "Connection refused").write)]

    assert all("`ssh socle@10.77.0.41`" in told for told in advice())
    config = state_dir("lab") / SETTINGS_FILE
    config.touch()
    assert all(f"`ssh -F {config} sec1`" in told for told in advice())
