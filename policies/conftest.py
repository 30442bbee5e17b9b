"""The controls as tests: ``pytest policies/ -k 9.6`` judges a site by the same rules as ``socle audit``.

Options: ``--facts FILE`` judges recorded facts; ``--site NAME`` and ``--live`` read them now (by default:
the lab's files, before any deployment).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from socle.audit import controls
from socle.audit.collect import collect
from socle.audit.model import Facts
from socle.paths import project_root
from socle.site import load

FACTS = pytest.StashKey[Facts]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which facts are judged."""
    group = parser.getgroup("socle", "conformity of a site")
    group.addoption("--facts", type=Path, help="a file of facts that `socle audit … --facts FILE` wrote")
    group.addoption("--site", default="lab", help="a name in inventories/, or the path of a site folder")
    group.addoption("--live", action="store_true", help="read the running cloud, not the site's files alone")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each control, named by its requirements."""
    if "control" in metafunc.fixturenames:
        every = list(controls.load().values())
        ids = [f"{'+'.join(control.requirements)}-{control.id}" for control in every]
        metafunc.parametrize("control", every, ids=ids)


@pytest.fixture(scope="session")
def facts(request: pytest.FixtureRequest) -> Facts:
    """The facts of the site, read once."""
    file = request.config.getoption("--facts")
    if file:
        return Facts.model_validate_json(Path(file).read_text("utf-8"))
    name = request.config.getoption("--site")
    folder = Path(name) if "/" in name else project_root() / "inventories" / name
    return collect(load(folder), "live" if request.config.getoption("--live") else "static")
