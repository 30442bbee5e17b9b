"""Authorities of SSH are replaced: what the old ones signed is refused, what the new ones sign is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from socle import vault
from socle.catalogue import Catalogue
from socle.deploy.ssh_proof import NO_HOST, NO_SESSION, SSH_FAILED, Client
from socle.site.entrance import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, KNOWN_HOSTS
from socle.vault.place import Place
from tests.lab.deployed import Lab

pytestmark = pytest.mark.lab

FILES = (KEY_FILE, CERTIFICATE_FILE, AUTHORITY_FILE, KNOWN_HOSTS)


@pytest.fixture
def place(lab: Lab, components: Catalogue) -> Place:
    return vault.place_of(lab.site, components)


def answers(place: Place, key: Path, known_hosts: Path) -> list[tuple[int, str]]:
    """Exit code and errors of a session with each host."""
    client = Client(place, key, known_hosts)
    return [client.run(host, "true")[::2] for host in place.hosts]


def opened(found: list[tuple[int, str]]) -> bool:
    return all(code == 0 for code, _errors in found)


def refused(found: list[tuple[int, str]], why: str) -> bool:
    return all(code == SSH_FAILED and why in errors for code, errors in found)


def test_what_the_old_authorities_signed_is_refused_everywhere(
    lab: Lab, place: Place, tmp_path: Path
) -> None:
    lab.on("ctl1", "true")  # ssh has an old certificate renewed first
    for name in FILES:
        shutil.copy2(place.state / name, tmp_path / name)
    old, new = ((folder / KEY_FILE, folder / KNOWN_HOSTS) for folder in (tmp_path, place.state))
    assert opened(found := answers(place, *old)), found

    told = json.loads(lab.socle("vault", "rotate", "ssh", "--json").stdout)
    assert told["rotated"] == ["ssh/users", "ssh/hosts"]

    for file in (AUTHORITY_FILE, KNOWN_HOSTS):
        before, after = ((folder / file).read_text() for folder in (tmp_path, place.state))
        assert not set(before.splitlines()) & set(after.splitlines())
    assert old[0].read_bytes() == new[0].read_bytes(), "the two differ in who signed, and in nothing else"
    assert opened(found := answers(place, *new)), found
    assert refused(found := answers(place, old[0], new[1]), NO_SESSION), found
    assert refused(found := answers(place, new[0], old[1]), NO_HOST), found

    assert lab.deploy_and_see_changes() == {}
