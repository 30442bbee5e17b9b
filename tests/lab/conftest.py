"""The deployed lab: brought up and deployed once if it is not, then asked by every test of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openstack
import pytest

from socle import catalogue, tenants
from socle.site import load
from socle.tenants.accounts import account_passwords
from stacks.tenant.plan import AUTOMATION, domain_name
from tests.lab.deployed import ROOT, Lab
from tests.lab.prober import Prober, urls


@pytest.fixture(scope="session")
def bare_lab() -> Lab:
    """The lab in whatever state it is."""
    return Lab(load(ROOT / "inventories/lab"))


@pytest.fixture(scope="session")
def lab(bare_lab: Lab) -> Lab:
    """The lab, up and deployed by the two commands that `make lab` runs, unless a test just did that."""
    if not bare_lab.deployed:
        bare_lab.socle("lab", "up")
        bare_lab.deploy()
    return bare_lab


@pytest.fixture(scope="session")
def as_tenant(lab: Lab) -> Iterator[Callable[[str, str], Any]]:
    """The cloud as a tenant's own automation account sees it, in one of the tenant's environments."""
    session = tenants.session_of(lab.site)
    opened = []

    def log_in(siren: str, environment: str) -> Any:
        domain = domain_name(siren)
        connection = openstack.connect(
            auth_url=session.auth_url,
            username=AUTOMATION,
            password=account_passwords(session.vault(), siren, [AUTOMATION])[AUTOMATION],
            project_name=environment,
            user_domain_name=domain,
            project_domain_name=domain,
            region_name=session.region,
            interface="public",
            cacert=session.ca_file,
        )
        opened.append(connection)
        return connection

    yield log_in
    for connection in opened:
        connection.close()


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


@pytest.fixture
def prober(lab: Lab, cloud: Any) -> Prober:
    """A client of every API."""
    return Prober(urls(cloud), cloud.auth_token, str(lab.ca_file))
