"""The daily audit over recorded facts, signed by a real OpenBao: silent on good days, loud on others."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from socle import signing
from socle.audit import bundle, changes, controls, daily, notary, timestamps
from socle.audit.evaluating import evaluate
from socle.audit.model import Audit, Facts
from socle.audit.mutations import mutated
from socle.errors import SocleError
from socle.paths import project_root, state_dir
from socle.site import Site, load
from socle.site.settings import Timestamps
from socle.vault.policies import text
from tests.unit.audit_golden import golden
from tests.unit.development_openbao import Development, running
from tests.unit.test_audit_bundle import asker

BROKEN = "ssh-root-login"


class Cloud:
    """What the collectors would read on it now."""

    def __init__(self) -> None:
        self.facts: Facts | None = golden("lab")

    def collect(self, *_given: object, **_named: object) -> Facts:
        if self.facts is None:
            raise SocleError("does not answer", where="lab")
        now = datetime.now(UTC)
        return self.facts.model_copy(update={"started": now, "ended": now})

    def break_one(self) -> None:
        self.facts = mutated(controls.load()[BROKEN], golden("lab"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    with running(tmp_path_factory.mktemp("bao")) as made:
        made.root.sys.create_or_update_acl_policy("audit-signer", text(signing.rules(bundle.KEY)))
        yield made


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Development) -> Site:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path / "state"))
    ask, folder = asker(server), tmp_path / "tsa"
    signing.make(bundle.KEY, ask)
    made = bundle.Notary(ask, lambda signature: timestamps.stamp(Timestamps(), folder, signature))
    monkeypatch.setattr(notary, "notary_of", lambda _site: made)
    monkeypatch.setattr(notary, "authority_of", lambda _site: folder / "ca.pem")
    loaded = load(project_root() / "inventories/lab")
    notary.signer_key(loaded).write_text(signing.public_key(bundle.KEY, ask))
    return loaded


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud()
    monkeypatch.setattr(daily, "collect", made.collect)
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "journal"))
        made.setblocking(False)
        yield made


@pytest.fixture
def day(site: Site, cloud: Cloud, journal: socket.socket, tmp_path: Path) -> Callable[[], daily.Day]:
    return lambda: daily.run(site, journal=tmp_path / "journal")


def heard(journal: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            entry = dict(line.split("=", 1) for line in journal.recv(1 << 16).decode().splitlines())
        except BlockingIOError:
            return found
        assert entry["PRIORITY"] == "3"
        found.append(entry["MESSAGE"])


def test_a_good_day_is_silent_and_grows_the_chain(
    site: Site, day: Callable[[], daily.Day], journal: socket.socket
) -> None:
    first, second = day(), day()
    assert first.lines == (f"Premier audit gardé : {first.bundle.name}",)
    assert second.lines == ("Rien n’a changé.",)
    assert bundle.bundles(notary.chain_of(site)) == [first.bundle, second.bundle]
    assert not first.alarm
    assert not second.alarm
    assert heard(journal) == []


def test_what_turned_red_is_told_once_to_the_journal(
    day: Callable[[], daily.Day], cloud: Cloud, journal: socket.socket
) -> None:
    before = day()
    cloud.break_one()
    red = day()
    told = heard(journal)
    assert told == list(red.alarm)
    assert told[0] == f"Depuis {before.bundle.name}, dossier {red.bundle.name} :"
    assert any(f"Devenu non conforme : {BROKEN}" in line for line in told)
    assert not day().alarm
    assert heard(journal) == []
    cloud.facts = golden("lab")
    assert day().lines[0].startswith("Devenu conforme")
    assert heard(journal) == []


def test_an_audit_by_hand_in_between_hides_nothing(
    site: Site, day: Callable[[], daily.Day], cloud: Cloud, journal: socket.socket
) -> None:
    day()
    cloud.break_one()
    facts = cloud.collect()
    by_hand = bundle.write(notary.chain_of(site), facts, evaluate(facts), notary.notary_of(site))
    assert any(BROKEN in line for line in day().alarm)
    assert any(BROKEN in line for line in heard(journal))
    assert not changes.between(by_hand, bundle.bundles(notary.chain_of(site))[-1]).worse


def test_an_audit_that_the_system_ends_is_told(
    site: Site, cloud: Cloud, day: Callable[[], daily.Day], journal: socket.socket
) -> None:
    child = os.fork()
    if child == 0:
        cloud.collect = lambda *_given, **_named: os.kill(os.getpid(), signal.SIGTERM)  # type: ignore[assignment, method-assign]
        daily.collect = cloud.collect  # type: ignore[assignment]
        try:
            day()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert heard(journal) == [f"L’audit quotidien de {site.name} a été interrompu par le système"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_audit_that_cannot_be_done_is_told(
    site: Site, day: Callable[[], daily.Day], cloud: Cloud, journal: socket.socket
) -> None:
    cloud.facts = None
    with pytest.raises(SocleError):
        day()
    assert heard(journal) == ["L’audit quotidien de lab n’a pas abouti : lab: does not answer"]
    assert not (state_dir(site.name) / daily.LAST).exists()


def test_a_day_that_cannot_be_written_down_is_told_all_the_same(
    day: Callable[[], daily.Day], cloud: Cloud, journal: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise SocleError("cannot be written: No space left on device", where="state")

    cloud.facts = None
    monkeypatch.setattr(daily.alarms, "remember", full)
    with pytest.raises(SocleError):
        day()
    assert heard(journal) == ["L’audit quotidien de lab n’a pas abouti : lab: does not answer"]


def test_files_that_are_not_valid_any_more_are_told(tmp_path: Path, journal: socket.socket) -> None:
    folder = tmp_path / "site"
    shutil.copytree(project_root() / "inventories/lab", folder)
    (folder / "site.yml").write_text("title: 3\n")
    with pytest.raises(SocleError):
        daily.loaded("lab", lambda: load(folder), tmp_path / "journal")
    assert heard(journal) == [
        "L’audit quotidien de lab n’a pas abouti : les fichiers du site ne sont pas valides"
    ]


def test_what_could_not_be_told_is_told_again(
    day: Callable[[], daily.Day], cloud: Cloud, journal: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    day()
    cloud.break_one()

    def refused(*_given: object) -> None:
        raise SocleError("takes no mail", where="relay")

    with monkeypatch.context() as patched:
        patched.setattr(daily.alerts, "to_people", refused)
        with pytest.raises(SocleError):
            day()
    assert any("n’est pas partie" in line for line in heard(journal))
    assert any(BROKEN in line for line in day().alarm)


def test_evidence_that_was_touched_is_told_and_nothing_compared_with_it(
    day: Callable[[], daily.Day], cloud: Cloud, journal: socket.socket
) -> None:
    cloud.break_one()
    first = day()
    (first.bundle / bundle.AUDIT).write_text("{}")
    told = day().alarm
    assert heard(journal) == list(told)
    assert told[0].startswith("Chaîne de preuves : ")
    assert any(f"Devenu non conforme : {BROKEN}" in line and "avant : absent" in line for line in told)


def test_after_a_bundle_of_another_version_all_that_is_red_is_told_and_the_next_day_compared(
    site: Site, day: Callable[[], daily.Day], cloud: Cloud, journal: socket.socket
) -> None:
    class Later(Audit):
        more: str = "of another version"

    facts = cloud.collect()
    other = Later(**evaluate(facts).model_dump())
    made = bundle.write(notary.chain_of(site), facts, other, notary.notary_of(site))
    cloud.break_one()
    told = day().alarm
    assert heard(journal) == list(told)
    assert made.name in told[0]
    assert any(f"Devenu non conforme : {BROKEN}" in line for line in told)
    assert day().lines == ("Rien n’a changé.",)


def test_another_bundle_is_named_by_its_number(site: Site, day: Callable[[], daily.Day]) -> None:
    made = [day().bundle for _day in range(3)]
    chain = notary.chain_of(site)
    assert changes.compared(chain) == (made[1], made[2])
    assert changes.compared(chain, "1") == (made[0], made[2])
    assert changes.compared(chain, f"{made[0]}/") == (made[0], made[2])
    with pytest.raises(SocleError, match="no bundle 7"):
        changes.compared(chain, "7")
