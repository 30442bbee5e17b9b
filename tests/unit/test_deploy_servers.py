"""What a deployment does about the tenants' servers that run, that were stopped, and that are broken."""

from __future__ import annotations

import pytest

from socle.deploy import servers
from socle.deploy.servers import Server, fetch_pages
from socle.errors import ExitCode, SocleError


def a_server(name: str, status: str, *, shows_page: bool = True) -> Server:
    return Server("123456782", "Rocval", "production", name, status, "10.0.0.5", "203.0.113.9", shows_page)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    urls: list[str] = []
    monkeypatch.setattr(servers, "_fetch", urls.append)
    return urls


def test_a_server_that_its_tenant_stopped_is_said_and_not_waited_for(fetched: list[str]) -> None:
    told: list[str] = []
    found = [
        a_server("web", "ACTIVE"),
        a_server("old", "SHUTOFF"),
        a_server("base", "SHUTOFF", shows_page=False),
    ]
    fetch_pages(found, told.append)
    assert fetched == ["http://203.0.113.9/"]
    assert told == ["1 pages; old of Rocval (production) is SHUTOFF"]
    assert [server.page for server in found] == ["http://203.0.113.9/", "", ""]


def test_a_broken_server_ends_the_deployment_and_says_where_to_look(fetched: list[str]) -> None:
    with pytest.raises(SocleError, match=r"web of Rocval \(production\)") as refused:
        fetch_pages([a_server("web", "ERROR")], lambda _: None)
    assert refused.value.exit_code is ExitCode.UNREACHABLE
    assert "openstack server show web" in refused.value.write
    assert fetched == []


def test_a_server_that_a_tenant_made_and_broke_does_not_end_the_deployment(fetched: list[str]) -> None:
    fetch_pages([a_server("own", "ERROR", shows_page=False), a_server("web", "ACTIVE")], lambda _: None)
    assert fetched == ["http://203.0.113.9/"]
