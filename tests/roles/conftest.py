"""The deployed lab: brought up and deployed by an operator's two commands before the first test asks it."""

from __future__ import annotations

import os

import pytest

from tests.roles import lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scenarios first: what follows looks at the nodes as the roles leave them."""
    items.sort(key=lambda item: not item.nodeid.rpartition("/")[2].startswith("test_scenarios"))


@pytest.fixture(scope="session", autouse=True)
def _deployed() -> None:
    lab.deploy()
    # Roles' variables that name secrets are rendered here as well.
    os.environ.update(lab.environment())
