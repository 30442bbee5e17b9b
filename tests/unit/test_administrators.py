"""People's way in to Keystone, as far as it is OpenBao's and GnuPG's: on the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from socle import vault
from socle.administrators import emergency, enrolment
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import load
from socle.vault import custody, pgp, qrcode, quorum
from socle.vault.place import Place
from tests.unit.openbao_server import begun
from tests.unit.test_identities import PASSWORD, code

PEOPLE = {"paul": ("operator",), "olga": ("crypto-officer", "custodian")}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, bare):
        prepared = replace(bare, people=PEOPLE)
        vault.prepare(prepared)
        yield prepared


def refused(_asked: custody.Ask) -> Iterator[str]:
    raise AssertionError("no custodian is asked")
    yield


def test_openbao_makes_a_seed_and_forgets_it(place: Place) -> None:
    with quorum.root(place, custody.shares_of(place), "a test") as speaker:
        speaker.sys.enable_secrets_engine("totp", path=enrolment.MAKER)  # as a killed run leaves it
        made = [enrolment.factor(speaker, "GIP", "paul") for _ in range(2)]
        assert f"{enrolment.MAKER}/" not in speaker.sys.list_mounted_secrets_engines()["data"]
    first, second = ({k: v[0] for k, v in parse_qs(urlsplit(one.url).query).items()} for one in made)
    assert first["secret"] != second["secret"]
    assert (first["algorithm"], first["digits"], first["period"]) == ("SHA1", "6", "30")
    assert len(first["secret"].rstrip("=")) == 160 // 5
    assert len(code(made[0].url)) == 6
    assert "█" in qrcode.drawn(made[0].picture)


@pytest.mark.parametrize(
    ("login", "password", "said"),
    [
        ("olga", PASSWORD, "work in the cloud"),
        ("eve", PASSWORD, "work in the cloud"),
        ("paul", "x" * 14, "short"),
    ],
)
def test_whom_no_custodian_is_asked_about(place: Place, login: str, password: str, said: str) -> None:
    nowhere: Any = None
    with pytest.raises(SocleError, match=said) as caught:
        enrolment.enrol(nowhere, place, refused, login, password)
    assert caught.value.exit_code == ExitCode.USAGE


def test_admin_opens_for_custodians_only(place: Place) -> None:
    lab = load(project_root() / "inventories/lab")
    with pytest.raises(SocleError, match="no custodian"):
        emergency.open_admin(lab, place, refused, "paul", 5)


def test_a_message_is_read_by_its_custodian_alone(place: Place) -> None:
    first, second, *_others = custody.holders(place)
    message = pgp.encrypt(first.key, "text\n")
    assert custody.keyring(place, first.login).decrypt(message) == "text\n"
    with pytest.raises(SocleError):
        custody.keyring(place, second.login).decrypt(message)
