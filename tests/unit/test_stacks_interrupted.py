"""What a killed run leaves of a stack, and how the next takes it up: no cloud and no Pulumi are needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openstack import exceptions

from socle.errors import ExitCode, SocleError
from socle.tenants import orphans, state
from socle.tenants.state import StackFiles

STACK = "t-0123456789ab"
PROVIDER = f"urn:pulumi:{STACK}::socle::pulumi:providers:openstack::production::provider-id"
PROVIDERS = [
    {
        "urn": PROVIDER.removesuffix("::provider-id"),
        "id": "provider-id",
        "inputs": {
            "tenantId": "project",
            "userName": "automation",
            "userDomainId": "domain",
            "region": "lab",
        },
    }
]


def begun(kind: str, inputs: dict[str, Any], operation: str = "creating") -> dict[str, Any]:
    """A pending operation as Pulumi writes it."""
    token = next(t for t in [*orphans.KINDS, orphans.VOLUME_ATTACHMENT] if t.endswith(f":{kind}"))
    urn = f"urn:pulumi:{STACK}::socle::{token}::web"
    return {
        "type": operation,
        "resource": {"urn": urn, "type": token, "inputs": inputs, "provider": PROVIDER, "custom": True},
    }


class Cloud:
    """Answers each listing with what a test gives it, and remembers what was deleted."""

    def __init__(self, **found: list[Any]) -> None:
        self.found, self.deleted, self.asked = found, [], {}
        self.identity = self.network = self.compute = self.block_storage = self.image = self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("delete_"):
            return lambda *things, **_options: self.deleted.append((name, things[-1].id))
        if name.startswith(("wait_for_", "update_")):
            return lambda thing, *_args, **_options: thing

        def listing(*_args: Any, **query: Any) -> list[Any]:
            self.asked[name] = query
            return self.found.get(name, [])

        return listing


def thing(identifier: str, **fields: Any) -> SimpleNamespace:
    """Something of the cloud."""
    return SimpleNamespace(id=identifier, **fields)


def test_what_no_state_knows_is_deleted_and_the_rest_stays() -> None:
    cloud = Cloud(networks=[thing("recorded"), thing("left")])
    pending = [begun("Network", {"name": "web", "tenantId": "project"})]
    recorded = [*PROVIDERS, {"urn": "u", "id": "recorded"}]
    assert orphans.settle(cloud, pending, recorded) == recorded
    assert cloud.deleted == [("delete_network", "left")]
    assert cloud.asked["networks"] == {"name": "web", "project_id": "project"}


@pytest.mark.parametrize("operation", ["updating", "deleting", "reading", "importing"])
def test_only_creations_leave_something(operation: str) -> None:
    cloud = Cloud(networks=[thing("left")])
    orphans.settle(cloud, [begun("Network", {"name": "web"}, operation)], PROVIDERS)
    assert cloud.deleted == []


def test_a_volume_of_the_same_name_without_our_mark_stays() -> None:
    mark = {"socle_stack": STACK, "socle_resource": "production-web-1"}
    cloud = Cloud(
        volumes=[
            thing("people's own", name="web-1", metadata={}, status="available", attachments=[]),
            thing("left", name="web-1", metadata=mark | {"more": "x"}, status="available", attachments=[]),
        ]
    )
    orphans.settle(cloud, [begun("Volume", {"name": "web-1", "metadata": mark})], PROVIDERS)
    assert cloud.deleted == [("delete_volume", "left")]
    assert cloud.asked["volumes"] == {"all_projects": True, "project_id": "project"}


NOBODY = {"name": "t-abc", "domainId": "domain"}


@pytest.mark.parametrize(
    ("kind", "inputs", "listing", "signs"),
    [
        ("Project", {"name": "t-abc", "isDomain": True}, "domains", ("projects", "users", "groups")),
        ("Project", NOBODY, "projects", ("role_assignments",)),
        ("User", NOBODY, "users", ("role_assignments", "user_groups")),
        ("GroupV3", NOBODY, "groups", ("role_assignments", "group_users")),
    ],
)
def test_what_somebody_uses_was_there_before_and_stays(
    kind: str, inputs: dict[str, Any], listing: str, signs: tuple[str, ...]
) -> None:
    left = thing("left", name="t-abc", resource_key="domain" if listing == "domains" else "project")
    for sign in signs:
        cloud = Cloud(**{listing: [left], sign: [thing("somebody's")]})
        with pytest.raises(SocleError, match="is there and in use") as refused:
            orphans.settle(cloud, [begun(kind, inputs)], PROVIDERS)
        assert cloud.deleted == []
        assert "stacks" in refused.value.write
    cloud = Cloud(**{listing: [left]})
    orphans.settle(cloud, [begun(kind, inputs)], PROVIDERS)
    assert [identifier for _what, identifier in cloud.deleted] == ["left"]


def test_a_volume_in_use_is_never_deleted() -> None:
    mark = {"socle_stack": STACK}
    cloud = Cloud(volumes=[thing("left", name="v", metadata=mark, status="in-use", attachments=[{}])])
    orphans.settle(cloud, [begun("Volume", {"name": "v", "metadata": mark})], PROVIDERS)
    assert cloud.deleted == []


@pytest.mark.parametrize(
    ("kind", "listing", "status", "good"),
    [("Volume", "volumes", "error", "available"), ("Instance", "servers", "ERROR", "ACTIVE")],
)
def test_what_the_state_knows_goes_only_when_it_has_failed(
    kind: str, listing: str, status: str, good: str
) -> None:
    mark = {"socle_stack": STACK}
    pending = [begun(kind, {"name": "web", "metadata": mark})]
    known = {"urn": pending[0]["resource"]["urn"], "id": "known"}
    for now, left in ((status, PROVIDERS), (good, [*PROVIDERS, known])):
        cloud = Cloud(**{listing: [thing("known", name="web", metadata=mark, status=now, attachments=[])]})
        assert orphans.settle(cloud, pending, [*PROVIDERS, known]) == left
        assert [name for _verb, name in cloud.deleted] == (["known"] if now == status else [])
    # Killed between the deletion and the state.
    assert orphans.settle(Cloud(), pending, [*PROVIDERS, known]) == PROVIDERS


def test_a_server_without_mark_in_its_request_is_never_looked_for() -> None:
    cloud = Cloud(servers=[thing("somebody's", name="web", metadata={})])
    orphans.settle(cloud, [begun("Instance", {"name": "web"})], PROVIDERS)
    assert cloud.deleted == []


def test_of_the_rules_only_the_one_that_was_asked_for_goes() -> None:
    fields = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80, "remote_ip_prefix": "0.0.0.0/0"}
    cloud = Cloud(
        security_group_rules=[thing("left", **fields), thing("other", **{**fields, "port_range_max": 81})]
    )
    inputs = {
        "securityGroupId": "group",
        "direction": "ingress",
        "protocol": "tcp",
        "portRangeMin": 80,
        "portRangeMax": 80,
        "remoteIpPrefix": "0.0.0.0/0",
    }
    orphans.settle(cloud, [begun("SecGroupRule", inputs)], PROVIDERS)
    assert cloud.deleted == [("delete_security_group_rule", "left")]


def test_an_application_credential_is_looked_for_with_its_account() -> None:
    cloud = Cloud(
        users=[thing("account")], application_credentials=[thing("left", name="c", user_id="account")]
    )
    orphans.settle(cloud, [begun("ApplicationCredential", {"name": "c"})], PROVIDERS)
    assert cloud.asked["users"] == {"name": "automation", "domain_id": "domain"}
    assert cloud.deleted == [("delete_application_credential", "left")]


def test_an_attached_volume_stays_attached_and_is_recorded() -> None:
    attached = thing("v", status="in-use", attachments=[{"server_id": "s", "device": "/dev/vdb"}])
    cloud = Cloud()
    cloud.get_volume = lambda _volume: attached  # type: ignore[attr-defined]
    operation = begun("VolumeAttach", {"instanceId": "s", "volumeId": "v"})
    assert orphans.settle(cloud, [operation], PROVIDERS) == [
        *PROVIDERS,
        {
            **operation["resource"],
            "id": "s/v",
            "outputs": {
                "instanceId": "s",
                "volumeId": "v",
                "id": "s/v",
                "device": "/dev/vdb",
                "region": "lab",
            },
        },
    ]
    attached.attachments = []
    assert orphans.settle(cloud, [operation], PROVIDERS) == PROVIDERS

    def gone(_volume: str) -> None:
        raise exceptions.NotFoundException

    cloud.get_volume = gone  # type: ignore[attr-defined]
    assert orphans.settle(cloud, [operation], PROVIDERS) == PROVIDERS


def test_what_cannot_be_removed_is_one_line() -> None:
    cloud = Cloud()

    def refuse(**_query: Any) -> list[Any]:
        raise exceptions.ConflictException("in use")

    cloud.networks = refuse  # type: ignore[attr-defined]
    with pytest.raises(SocleError, match=r"^web: was left by an interrupted run and cannot be removed"):
        orphans.settle(cloud, [begun("Network", {"name": "web"})], PROVIDERS)


def files_of(folder: Path, latest: dict[str, Any] | None = None) -> StackFiles:
    """A stack's files with a state."""
    files = StackFiles(STACK, folder)
    files.prepare()
    if latest is not None:
        files.state.parent.mkdir(parents=True)
        files.state.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))
    return files


def test_settings_that_were_never_written_come_back_from_the_state(tmp_path: Path) -> None:
    key = {"url": "hashivault://stack-x", "encryptedkey": "abc="}
    files = files_of(tmp_path, {"secrets_providers": {"type": "cloud", "state": key}, "resources": [{}]})
    files.prepare()
    assert files.settings.read_text() == "secretsprovider: hashivault://stack-x\nencryptedkey: abc=\n"
    assert files.state.is_file()


def test_a_stack_that_was_only_begun_is_forgotten(tmp_path: Path) -> None:
    files = files_of(tmp_path, {})
    files.prepare()
    assert not files.state.exists()


def test_what_failed_is_settled_like_what_was_begun(tmp_path: Path) -> None:
    files = StackFiles(STACK, tmp_path)
    files.prepare()
    files.doubt([])
    assert files.unsettled() == []
    files.doubt([begun("Network", {"name": "web", "tenantId": "project"})])
    cloud = Cloud(networks=[thing("made all the same")])
    orphans.settle(cloud, StackFiles(STACK, tmp_path).unsettled(), PROVIDERS)
    assert cloud.deleted == [("delete_network", "made all the same")]


def test_a_damaged_state_names_its_copy(tmp_path: Path) -> None:
    files = files_of(tmp_path, {})
    files.state.write_text('{"version": 3, "check')
    with pytest.raises(SocleError, match=r"is damaged; restore it from .*\.json\.bak"):
        files.prepare()


def lock_of(files: StackFiles, pid: int, host: str | None = None) -> Path:
    """A lock as Pulumi writes it."""
    path = files.backend / f".pulumi/locks/organization/socle/{STACK}/one.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pid": pid, "hostname": host or os.uname().nodename}))
    return path


def test_the_lock_of_a_dead_pulumi_goes(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    lock = lock_of(files, 2**22 + 1)
    files.prepare()
    assert not lock.exists()


@pytest.mark.parametrize("living", [True, False])
def test_the_lock_of_a_living_pulumi_and_of_another_machine_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, living: bool
) -> None:
    monkeypatch.setattr(state, "LOCK_SECONDS", 0)
    monkeypatch.setattr(state, "is_pulumi", lambda _pid: True)
    files = files_of(tmp_path)
    lock = lock_of(files, os.getpid(), None if living else "elsewhere")
    with pytest.raises(SocleError, match=f"^stack {STACK}: is locked by process") as error:
        files.prepare()
    assert error.value.exit_code is ExitCode.LOCKED
    assert lock.exists()


def test_a_process_that_is_not_pulumi_holds_no_lock() -> None:
    assert not state.is_pulumi(os.getpid())


def test_workers_die_with_the_run_that_started_them() -> None:
    program = (
        "import multiprocessing, os, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from socle.tenants.workers import _end_with\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    pool = ProcessPoolExecutor(1, context, _end_with, (os.getpid(),))\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert run.stdout
    worker = int(run.stdout.readline())
    run.send_signal(signal.SIGKILL)
    run.wait()
    end = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
