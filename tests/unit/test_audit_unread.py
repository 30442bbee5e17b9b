"""What an auditor reads of a place that cannot be read is French, whatever stopped the reading."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hvac.exceptions import VaultError

from socle.audit.collect.unread import CAUSES, NO_AUTHORITY, why
from socle.errors import Cause, ExitCode, SocleError
from socle.vault import api, remote, seal, trust

PLACE: Any = SimpleNamespace(
    nodes=(SimpleNamespace(url="https://10.77.0.15:8200"),),
    threshold=2,
    state=Path("state"),
    deploy_user="socle",
)
NODE: Any = SimpleNamespace(name="sec1", address="10.77.0.15")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            trust.unreachable(PLACE, "sec1: SSH failed: timed out"),
            "OpenBao ne répond pas (https://10.77.0.15:8200)",
        ),
        (
            seal.sealed(PLACE),
            "OpenBao est scellé : l’ouvrir par « socle vault unseal » (https://10.77.0.15:8200)",
        ),
        (
            seal.not_initialised(PLACE),
            "OpenBao n’est pas initialisé : « socle vault init » (https://10.77.0.15:8200)",
        ),
        (remote._unreachable(PLACE, NODE, "timed out"), "SSH n’ouvre pas de session (sec1)"),
        (SocleError("gone", exit_code=ExitCode.UNREACHABLE), "ce qui est lu ne répond pas"),
        (requests.exceptions.ConnectTimeout(), "OpenBao ne répond plus (ConnectTimeout)"),
        (OSError("Could not find a suitable TLS CA certificate bundle, invalid path: x"), NO_AUTHORITY),
        (SocleError("ne répond pas en 60 s", where="ctl1"), "ctl1: ne répond pas en 60 s"),
    ],
    ids=str,
)
def test_an_error_is_told_in_french(error: Exception, told: str) -> None:
    assert why(error) == told


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("permission denied", "OpenBao refuse la demande (OpenBao https://bao)"),
        ("Vault is sealed", "OpenBao est scellé : l’ouvrir par « socle vault unseal » (OpenBao https://bao)"),
    ],
)
def test_what_openbao_answers_is_told_in_french(reason: str, told: str) -> None:
    with pytest.raises(SocleError) as error, api.plainly(PLACE):
        raise VaultError(errors=[reason], url="https://bao")
    assert why(error.value) == told


def test_every_cause_has_its_sentence() -> None:
    assert set(CAUSES) == set(Cause)


def test_a_site_without_its_authority_is_told_to_deploy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as by_name:
        (tmp_path / "ca.pem").read_text("ascii")
    with pytest.raises(FileNotFoundError) as by_openssl:
        ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    assert {why(by_name.value), why(by_openssl.value)} == {NO_AUTHORITY}
