"""The deployed lab: brought up and deployed once if it is not, then asked by every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from socle import catalogue, tenants
from socle.site import load
from tests.lab.deployed import ROOT, Lab


@pytest.fixture(scope="session")
def bare_lab() -> Lab:
    """The lab in whatever state it is."""
    return Lab(load(ROOT / "inventories/lab"))


@pytest.fixture(scope="session")
def lab(bare_lab: Lab) -> Lab:
    """The lab, up and deployed by the two commands that `make lab` runs."""
    bare_lab.socle("lab", "up")
    bare_lab.socle("deploy")
    return bare_lab


@pytest.fixture(scope="session")
def cloud(lab: Lab) -> Iterator[Any]:
    """The cloud as its administrator sees it, through the public end points."""
    connection = tenants.session_of(lab.site).connect()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def components() -> Any:
    """The service catalogue."""
    return catalogue.load()
