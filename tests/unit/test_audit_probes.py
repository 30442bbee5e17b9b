"""Active probes: their journal survives a kill, OpenBao's are tried on a real one, none is ever silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from socle import vault
from socle.audit import controls
from socle.audit.judging import judge
from socle.audit.model import Fact, Facts, Status
from socle.audit.probe import PROBES, chosen, openbao, raw_image, with_probes
from socle.audit.probe.canaries import Canaries
from socle.audit.probe.journal import Made, held
from socle.audit.probe.running import remove_left
from socle.cli.app import run
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import load
from socle.vault import people
from socle.vault.custody import shares_of
from socle.vault.quorum import root
from tests.unit.audit_golden import one_pass
from tests.unit.openbao_server import begun

ONE, TWO = Made("tenant", "canary-one"), Made("person", "audit_canary")
SECRET = "a canary's password"
SITE = load(project_root() / "inventories/lab")
GUIDE = project_root() / "docs/auditor/sondes.md"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    return tmp_path


def test_what_was_announced_is_left_until_it_is_forgotten(state: Path) -> None:
    with held("lab") as journal:
        assert journal.left() == ()
        journal.announce(ONE)
        journal.announce(TWO)
    with held("lab") as journal:
        assert journal.left() == (TWO, ONE), "the last first"
        journal.forget(TWO)
        assert journal.left() == (ONE,)
        journal.forget(ONE)
        assert not journal.path.exists()
        assert state in journal.path.parents


def test_a_killed_run_leaves_its_journal_and_lets_others_in(state: Path) -> None:
    program = (
        "import os, signal\nfrom socle.audit.probe.journal import Made, held\n"
        "with held('lab') as journal:\n"
        f"    journal.announce(Made(*{tuple(ONE)!r}))\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "SOCLE_STATE": str(state)}
    done = subprocess.run([sys.executable, "-c", program], check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    with held("lab") as journal:
        assert journal.left() == (ONE,)


@pytest.mark.usefixtures("state")
def test_two_runs_do_not_clean_up_after_each_other() -> None:
    with held("lab"), pytest.raises(SocleError) as caught, held("lab"):
        pass
    assert caught.value.exit_code is ExitCode.LOCKED


@pytest.mark.usefixtures("state")
def test_nothing_but_a_canary_is_ever_removed() -> None:
    with held("lab") as journal, pytest.raises(SocleError, match="no canary"):
        Canaries(SITE, journal).remove("t-210000014")


@pytest.fixture(scope="module")
def place() -> Iterator[vault.Place]:
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (_server, bare):
        made = replace(bare, people={"paul": ("operator",)})
        vault.prepare(made)
        yield made


def test_openbao_asks_for_the_second_factor_and_locks(place: vault.Place) -> None:
    for _again in range(2):  # at once: the lock of the first is no hindrance
        assert openbao.tried(place, SECRET) == {
            "wrong_password": "refused",
            "password_alone": "second factor",
            "wrong_code": "refused",
            "failures": openbao.LIMIT,
            "after_failures": "refused",
        }
    openbao.remove(place)
    openbao.remove(place)
    logins = vault.auditor_client(place).list("auth/userpass/users")
    assert not logins or openbao.canary.LOGIN not in logins["data"]["keys"]
    assert openbao.log_in(place, SECRET) == "refused"


def test_the_next_run_removes_the_account_that_a_killed_one_left(place: vault.Place) -> None:
    child = os.fork()
    if child == 0:
        with held(place.site) as journal:
            Canaries(SITE, journal).announce(Made("person", openbao.canary.LOGIN))
            speaker = vault.canary_client(place)
            speaker.write_data(openbao.canary.USER, data={"password": SECRET})
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert openbao.log_in(place, SECRET) == "second factor", "it was left"
    with held(place.site) as journal:
        canaries = Canaries(SITE, journal)
        canaries.place = place
        assert remove_left(canaries) == (openbao.canary.LOGIN,)
        assert journal.left() == ()
    assert openbao.log_in(place, SECRET) == "refused"


def test_the_canary_may_give_its_account_nothing(place: vault.Place) -> None:
    speaker = vault.canary_client(place)
    for more in ({"token_policies": ["role-operator"]}, {"token_ttl": "8h"}):
        with pytest.raises(vault_error()):
            speaker.write_data(openbao.canary.USER, data={"password": SECRET, **more})
    with pytest.raises(vault_error()):
        speaker.write_data("auth/userpass/users/paul", data={"password": SECRET})


def vault_error() -> type[Exception]:
    """What hvac raises when it is refused."""
    from hvac.exceptions import Forbidden  # noqa: PLC0415 - beside its use

    return Forbidden


def test_a_revoked_token_is_refused(place: vault.Place) -> None:
    speaker = vault.canary_client(place)
    assert openbao.lookup(speaker)
    speaker.auth.token.revoke_self()
    assert not openbao.lookup(speaker)


def test_openbao_without_its_settings_turns_both_controls_red(place: vault.Place) -> None:
    """The last of the real server: what it had is taken away."""
    with root(place, shares_of(place), "a test") as speaker:
        speaker.delete(f"identity/mfa/login-enforcement/{people.METHOD}")
        off = {"user_lockout_config": {"lockout_disable": True}}
        speaker.write_data(f"sys/auth/{people.MOUNT}/tune", data=off)
    told = openbao.tried(place, SECRET)
    openbao.remove(place)
    assert (told["password_alone"], told["after_failures"]) == ("token", "token")
    facts = of_fact("probe.openbao_login", "lab", told)
    for name in ("probe-second-factor", "probe-openbao-lockout"):
        assert judge(controls.named(name), facts).status is Status.NON_CONFORME


def of_fact(name: str, subject: str, value: Any) -> Facts:
    return one_pass([Fact(name=name, subject=subject, value=value)])


def test_a_probe_that_was_not_run_says_so() -> None:
    for control in controls.load().values():
        if control.needs[0].startswith("probe."):
            said = judge(control, of_fact("keystone.domains", "lab", {}))
            assert said.status is Status.NOT_EVALUATED
            assert said.reason == f"{control.needs[0]} : sonde non lancée (`socle audit live --probes`)"


def test_every_probe_is_judged_and_every_such_control_has_its_probe() -> None:
    judged = {need for one in controls.load().values() for need in one.needs if need.startswith("probe.")}
    assert judged == {probe.fact.name for probe in PROBES}


def test_what_probes_told_joins_what_was_read() -> None:
    read, told = of_fact("keystone.domains", "lab", {}), of_fact("probe.key_erase", "lab", {})
    both = with_probes(read, told)
    assert set(both.expected) == {"keystone.domains", "probe.key_erase"}
    assert both.facts == (*read.facts, *told.facts)
    assert both.ended == read.ended


def test_a_marker_is_counted_where_blocks_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = "canary-0123456789"
    image = tmp_path / "image"
    head = bytes.fromhex("4c554b53babe0001")
    parts = head.ljust(raw_image.BLOCK - 5, b"\0") + marker.encode() + b"\0" * 100 + marker.encode()
    image.write_bytes(parts)
    program = tmp_path / "rbd"
    program.write_text(f'#!/bin/sh\n[ "$5" = volumes/one ] && exec cat {image}\nexit 2\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = raw_image.look("cinder", "volumes/one", marker)
    assert (found["marker"], found["bytes"], found["status"]) == (2, len(parts), 0)
    assert found["head"].startswith("4c554b53babe0001")
    assert len(found["head"]) == 2 * raw_image.HEAD
    assert raw_image.look("cinder", "volumes/two", marker)["status"] == 2


def test_the_list_and_the_guide_tell_every_probe_and_its_effects(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--json", "audit", "probe", "--list"]) == ExitCode.OK
    said = capsys.readouterr().out
    guide = GUIDE.read_text("utf-8")
    for probe in PROBES:
        assert probe.name in said
        assert probe.tried
        assert probe.effects
        assert f"`{probe.name}`" in guide


def test_an_unknown_probe_is_said() -> None:
    with pytest.raises(SocleError) as caught:
        chosen(["nobody"])
    assert caught.value.exit_code is ExitCode.USAGE
