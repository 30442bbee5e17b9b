"""A real OpenBao for the tests that ask for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from socle.vault.place import Place
from tests.unit.openbao_server import Server, begun
from tests.unit.rotation_world import World, prepared


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Place]]:
    """A server that nobody has initialised."""
    with begun(monkeypatch) as made:
        yield made


@pytest.fixture
def place(fresh: tuple[Server, Place]) -> Place:
    return fresh[1]


@pytest.fixture
def server(fresh: tuple[Server, Place]) -> Server:
    return fresh[0]


@pytest.fixture(scope="module")
def lab_place() -> Iterator[Place]:
    """The lab's site in a server of its own, which a module's tests share."""
    with prepared() as made:
        yield made


@pytest.fixture
def world(lab_place: Place, monkeypatch: pytest.MonkeyPatch) -> World:
    """Servers, services and hosts that a rotation changes."""
    return World(lab_place, monkeypatch)
