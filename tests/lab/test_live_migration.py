"""An administrator empties a hypervisor: guests move while they run, their memory encrypted on the way."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import pytest
from openstack.exceptions import HttpException, raise_from_response

from socle import catalogue
from socle.lab.plan import veth_name
from tests.lab.test_servers import ask, facts, floating, servers, tenant_of
from tests.lab.wire import TCP, Capture
from tests.waiting import eventually

__all__ = ["servers"]
COMPUTES = ("cmp1", "cmp2")


@pytest.fixture(scope="module")
def moved(lab: Any, cloud: Any, servers: list[Any]) -> dict[str, Any]:
    """A guest with something on its disk, moved to the other hypervisor, and what passed on the cables."""
    server = servers[0]
    address, marker = floating(server), f"socle-move-{secrets.token_hex(8)}"
    before = host_of(cloud, server)
    there = next(name for name in COMPUTES if name != before)
    known = facts(lab, address)
    assert ask(lab, address, "volume", device="vdb", write=marker) == marker
    cables = [
        veth_name(lab.site.name, name, zone)
        for name in COMPUTES
        for zone in lab.site.hosts[name].addresses
        if zone != "overlay"
    ]
    with Capture(cables) as capture:
        cloud.compute.live_migrate_server(server, host=there, block_migration=False)

        eventually(lambda: settled(cloud, server, there), seconds=180, pause=1)
    return {"server": server, "there": there, "marker": marker, "before": known, "capture": capture}


def host_of(cloud: Any, server: Any) -> str:
    """The hypervisor on which a server is now."""
    return str(cloud.compute.get_server(server.id).hypervisor_hostname).split(".")[0]


def settled(cloud: Any, server: Any, there: str) -> bool:
    """Whether the move has ended well; a failed one says why."""
    failed = [m for m in cloud.compute.migrations(instance_uuid=server.id) if m.status in {"error", "failed"}]
    assert not failed
    now = cloud.compute.get_server(server.id)
    return now.status == "ACTIVE" and now.task_state is None and host_of(cloud, server) == there


def test_the_guest_goes_on_where_it_was(lab: Any, moved: dict[str, Any]) -> None:
    address = floating(moved["server"])
    now = eventually(partial(facts, lab, address), seconds=60)
    assert now["boot"], "the guest says which of its starts this is"
    assert now == moved["before"]
    assert ask(lab, address, "volume", device="vdb") == moved["marker"]


def test_its_memory_went_over_tls(lab: Any, moved: dict[str, Any]) -> None:
    capture = moved["capture"]
    migration = catalogue.load().components["nova_compute"].listeners["migration"]
    talks = [c for c in capture.conversations() if migration.port <= c.port <= migration.last_port]
    assert talks, "memory went by the port of migrations"
    assert {c.kind for c in talks} == {"tls"}
    assert not [p for p in capture.packets() if p.protocol == TCP and moved["marker"].encode() in p.body]


def test_an_administrator_alone_opens_no_key_of_a_tenant(
    lab: Any, cloud: Any, as_tenant: Any, moved: dict[str, Any]
) -> None:
    tenant = tenant_of(lab, cloud, as_tenant, moved["server"])
    keys = [f"/secrets/{s.secret_ref.rsplit('/', 1)[1]}/payload" for s in tenant.key_manager.secrets()]
    assert len(keys) >= 2
    wanted = {"Accept": "application/octet-stream"}
    for path in keys:
        raise_from_response(tenant.key_manager.get(path, headers=wanted))
        with pytest.raises(HttpException) as caught:
            raise_from_response(cloud.key_manager.get(path, headers=wanted))
        assert caught.value.response.status_code == 403
