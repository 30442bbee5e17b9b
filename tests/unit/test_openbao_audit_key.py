"""The key by which an audit reads hosts, by a real OpenBao: signed for minutes, one account, one program."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from socle import vault
from socle.errors import SocleError
from socle.site.entrance import AUDIT_ACCOUNT
from socle.vault import login, ssh
from socle.vault.api import plainly
from socle.vault.place import Place
from tests.unit.openbao_server import begun


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, found):
        vault.prepare(found)
        yield found


@pytest.fixture
def public_key(tmp_path: Path) -> str:
    return ssh.new_key(tmp_path, "test").with_suffix(".pub").read_text(encoding="ascii")


def signs(place: Place, speaker: Any, role: str, asked: dict[str, Any]) -> bool:
    try:
        with plainly(place):
            speaker.write_data(f"{ssh.USER_MOUNT}/sign/{role}", data=asked)
    except SocleError:
        return False
    return True


def test_the_certificate_lives_minutes_and_opens_one_account_for_one_program(
    place: Place, tmp_path: Path
) -> None:
    key = vault.audit_key(place, tmp_path)
    certificate = key.with_name(f"{key.name}-cert.pub")
    told = subprocess.run(
        ["ssh-keygen", "-L", "-f", str(certificate)], capture_output=True, text=True, check=True
    ).stdout
    said = " ".join(told.split())
    assert f"Principals: {AUDIT_ACCOUNT} Critical Options: force-command /usr/bin/sudo -n" in said
    assert "source-address 127.0.0.1" in said
    assert re.search(r"Extensions: \(none\)", said)
    assert 0 < ssh.seconds_left(certificate) <= 600


def test_the_auditor_is_signed_nothing_else(place: Place, public_key: str) -> None:
    auditor = login.auditor_client(place)
    right = {"public_key": public_key, "valid_principals": AUDIT_ACCOUNT, "cert_type": "user"}
    assert signs(place, auditor, ssh.AUDIT, right)
    for more in (
        {"valid_principals": place.deploy_user},
        {"valid_principals": f"{AUDIT_ACCOUNT},{place.deploy_user}"},
        {"valid_principals": "root"},
        {"cert_type": "host"},
        {"critical_options": {"force-command": "/bin/sh"}},
        {"critical_options": {"verify-required": ""}},
        {"extensions": {"permit-pty": ""}},
        {"ttl": "12h"},
        {"key_id": "deployer"},
    ):
        assert not signs(place, auditor, ssh.AUDIT, right | more), more
    for role in (ssh.DEPLOYER, ssh.FORMER, *ssh.HOURS):
        principal = place.deploy_user if role in (ssh.DEPLOYER, ssh.FORMER) else AUDIT_ACCOUNT
        assert not signs(place, auditor, role, right | {"valid_principals": principal}), role


def test_nobody_else_is_signed_the_audits_account(place: Place, public_key: str) -> None:
    right = {"public_key": public_key, "valid_principals": AUDIT_ACCOUNT, "cert_type": "user"}
    deployer = login.deployer(place)
    assert not signs(place, deployer, ssh.AUDIT, right)
    assert not signs(place, deployer, ssh.DEPLOYER, right)
