"""The people module on a machine that is imagined: whose accounts it touches, and in which order."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import pytest

MODULE = Path(__file__).parents[2] / "plugins/modules/people.py"
ALICE = {"name": "Alice Martin", "groups": ["socle-people", "socle-operator"]}


class ToldError(Exception):
    """How the module ends, and what it tells."""


class Machine:
    """A machine with accounts, groups and processes; it keeps what is run."""

    def __init__(self, people: ModuleType, patch: pytest.MonkeyPatch) -> None:
        self.accounts: dict[str, Any] = {"root": self.account(0), "socle": self.account(1000)}
        self.groups: dict[str, list[str]] = {"socle-people": [], "socle-operator": []}
        self.processes: set[str] = set()
        self.commands: list[list[str]] = []
        self.people = people
        found = [SimpleNamespace(gr_name=name, gr_mem=mem) for name, mem in self.groups.items()]
        patch.setattr(people, "pwd", SimpleNamespace(getpwnam=lambda login: self.accounts[login]))
        patch.setattr(people, "grp", SimpleNamespace(getgrall=lambda: found))
        patch.setattr(people, "AnsibleModule", lambda **_specification: self)
        self.params: dict[str, Any] = {}
        self.check_mode = False

    @staticmethod
    def account(uid: int, name: str = "", program: str = "/bin/bash") -> SimpleNamespace:
        return SimpleNamespace(pw_uid=uid, pw_gecos=name, pw_shell=program)

    def person(self, login: str, uid: int, name: str = "", program: str = "/bin/bash") -> None:
        self.accounts[login] = self.account(uid, name, program)
        for members in self.groups.values():
            members.append(login)

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        self.commands.append(command)
        if command[0] == "pgrep":
            return (0 if command[-1] in self.processes else 1), "", ""
        return 0, "", ""

    def fail_json(self, msg: str) -> NoReturn:
        raise ToldError(msg)

    def exit_json(self, **told: Any) -> NoReturn:
        raise ToldError(told["actions"])

    def apply(self, **accounts: Any) -> Any:
        """What the module tells."""
        self.params = {"accounts": accounts, "services": {}, "group": "socle-people"}
        with pytest.raises(ToldError) as told:
            self.people.main()
        return told.value.args[0]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    spec = importlib.util.spec_from_file_location("people_module", MODULE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Machine(module, monkeypatch)


def test_who_is_missing_gets_an_account(machine: Machine) -> None:
    (made,) = machine.apply(alice=ALICE)
    assert made.startswith("useradd --create-home")


def test_who_is_there_stays(machine: Machine) -> None:
    machine.person("alice", 1001, "Alice Martin")
    assert machine.apply(alice=ALICE) == []


@pytest.mark.parametrize("login", ["root", "socle"])
def test_an_account_that_is_no_persons_is_refused_and_nothing_changes(machine: Machine, login: str) -> None:
    told = machine.apply(**{login: ALICE, "alice": ALICE})
    assert told.startswith(f"{login}: ")
    assert "nothing was changed" in told
    assert machine.commands == []


@pytest.mark.parametrize(("login", "uid"), [("root", 0), ("nobody", 65534)])
def test_an_account_of_the_system_in_the_group_is_not_locked(machine: Machine, login: str, uid: int) -> None:
    machine.person(login, uid)
    assert f"{login}: an account of the system" in machine.apply()
    assert machine.commands == []


def test_who_left_is_locked_and_then_their_sessions_end(machine: Machine) -> None:
    machine.person("alice", 1001)
    machine.processes.add("alice")
    locked, ended = machine.apply()
    assert locked.startswith("usermod --shell /usr/sbin/nologin --expiredate 1")
    assert ended == "pkill --signal KILL --uid alice"


def test_sessions_that_a_killed_run_left_end(machine: Machine) -> None:
    machine.person("alice", 1001, program="/usr/sbin/nologin")
    machine.processes.add("alice")
    assert machine.apply() == ["pkill --signal KILL --uid alice"]


def test_a_second_run_ends_nothing(machine: Machine) -> None:
    machine.person("alice", 1001, program="/usr/sbin/nologin")
    assert machine.apply() == []


def test_who_was_removed_from_the_machine_stays_removed(machine: Machine) -> None:
    machine.person("alice", 1001)
    del machine.accounts["alice"]
    assert machine.apply() == []
