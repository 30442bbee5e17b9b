"""Secrets stay where they belong, at the highest verbosity too: what a deployment leaves on this machine.

The nodes themselves are searched by the tests of the roles: files, journals, arguments.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from socle import catalogue, tenants, vault
from socle.paths import cache_dir, project_root, state_dir
from socle.vault.login import token_of
from stacks.tenant.plan import plan_of
from tests.lab.deployed import Lab
from tests.lab.leaks import Arguments, in_files, in_git, new_files, spellings

pytestmark = pytest.mark.lab

SHORTEST = 16
NOT_SECRET = {"id", "auth_url", "region"}
"""What stands beside a tenant's application credential."""
SECRET_FILES = (
    "/etc/keystone/keystone.conf /etc/keystone/fernet-keys/1 /etc/nova/nova.conf /etc/barbican/barbican.conf"
)
VERBOSITY = "6"
LEGITIMATE = ("vault", "custodians", "nodes")
"""Folders of the state: this machine's own login, the test custodians' keys, the nodes' disks."""
RECENT_MINUTES = 180


@dataclass(frozen=True)
class Run:
    """A deployment that laid files with secrets again: what it printed and which arguments were seen."""

    printed: str
    arguments: Arguments
    planted: str


def of_services(lab: Lab) -> Iterator[str]:
    """Everything that OpenBao generated for services, but identifiers."""
    place = vault.place_of(lab.site, catalogue.load())
    speaker = vault.api.client(place, vault.seal.active_node(place), token_of(place, "ansible"))
    for name, component in catalogue.load().components.items():
        wanted = {key for key, kind in component.secrets.items() if kind != "uuid"}
        if wanted:
            found = speaker.read(f"kv/data/services/{name}")["data"]["data"]
            yield from (str(value) for key, value in found.items() if key in wanted)


def of_tenants(lab: Lab) -> Iterator[str]:
    """Passwords and application credentials of all tenants."""
    speaker = tenants.session_of(lab.site).vault()
    for siren in lab.site.tenants:
        below = plan_of(lab.site, siren).environments
        for path in (siren, *(f"{siren}/{environment.name}" for environment in below)):
            answer: Any = speaker.read(f"kv/data/tenants/{path}")
            found = answer["data"]["data"] if answer else {}
            yield from (str(value) for key, value in found.items() if key not in NOT_SECRET)


class Hidden(list[str]):
    """Values that a failing test does not print."""

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


@pytest.fixture(scope="module")
def values(lab: Lab) -> Hidden:
    """Every secret, in the spellings that are looked for."""
    services, of_the_tenants = list(of_services(lab)), list(of_tenants(lab))
    assert len(services) > len(catalogue.load().components)
    assert len(of_the_tenants) >= 2 * len(lab.site.tenants)
    assert all(len(value) >= SHORTEST for value in services + of_the_tenants)
    return Hidden(spellings(services + of_the_tenants))


@pytest.fixture(scope="module")
def run(lab: Lab) -> Run:
    """A deployment at the highest verbosity, while a process carries a planted secret in its arguments."""
    planted = secrets.token_urlsafe(24)
    lab.on("ctl1", f"rm -f {SECRET_FILES}")
    with pytest.MonkeyPatch.context() as patch, Arguments() as arguments:
        patch.setenv("ANSIBLE_VERBOSITY", VERBOSITY)
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1)", planted], check=True)
        done = lab.socle("deploy", "--json")
    return Run(done.stdout + done.stderr, arguments, planted)


def searched(lab: Lab) -> list[Path]:
    """The state with its journals and stacks, the cache's logs, and what is new in temporary folders."""
    new = new_files([Path("/tmp"), Path("/var/tmp")], RECENT_MINUTES)
    known = [state_dir(lab.site.name), cache_dir() / "log", Path.home() / ".ansible"]
    return [path for path in known if path.exists()] + new


def test_no_file_of_this_machine_holds_a_secret(lab: Lab, run: Run, values: list[str]) -> None:
    assert in_files(values, searched(lab), besides=LEGITIMATE) == []


def test_nothing_printed_and_no_argument_holds_a_secret(run: Run, values: list[str]) -> None:
    assert run.arguments.with_one_of(values) == []
    assert not any(value in run.printed for value in values)


def test_no_object_of_git_holds_a_secret(values: list[str]) -> None:
    assert in_git(values, project_root()) == 0


def test_the_log_is_as_verbose_as_it_can_be(lab: Lab, run: Run) -> None:
    last = sorted((state_dir(lab.site.name) / "journal").iterdir())[-1]
    assert "SSH: EXEC" in (last / "control.log").read_text(encoding="utf-8", errors="replace")


def test_a_planted_secret_is_found_in_each_of_these_places(lab: Lab, run: Run) -> None:
    wanted = spellings([run.planted])
    assert run.arguments.with_one_of(wanted) == [sys.executable]
    state = state_dir(lab.site.name)
    with (
        tempfile.NamedTemporaryFile("w", dir=state / "journal", prefix="planted-") as journal,
        tempfile.NamedTemporaryFile("w", dir="/var/tmp", prefix="planted-") as other,
    ):
        for file in (journal, other):
            file.write(f"password={run.planted}\n")
            file.flush()
        found = in_files(wanted, searched(lab), besides=LEGITIMATE)
    assert sorted(found) == sorted([journal.name, other.name])
