"""The role on a machine of its own: laid over SSH, started again with its options, every rule checked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from socle.audit.collect import hosts
from socle.audit.collect.session import answered, asking
from socle.audit.model import Fact
from socle.hardening import Check, HostTraits, applied, checks
from socle.hardening.people import accounts_of
from socle.paths import project_root
from socle.site import load
from socle.site.entrance import AUDIT_COMMAND, AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE
from socle.vault import ssh
from tests.hosts.machine import COMMAND_LINE, Machine
from tests.waiting import eventually

HOST = "sec1"
UNDO = "socle-ssh-settings-undo.service"
PEOPLE = """people:
  alice: {name: Alice Martin, email: alice@gip.example, roles: [operator]}
  rita: {name: Rita Blanc, email: rita@gip.example, roles: [auditor, custodian]}
  benoit: {name: Benoît Durand, email: benoit@gip.example, roles: [custodian]}
  carole: {name: Carole Petit, email: carole@gip.example, roles: [custodian]}
custodians: [rita, benoit, carole]
"""
ABLE = {"kernel": True, "auditd": True, "apparmor": True}
LINE_OF_GRUB = re.compile(r"^\s*linux\s+\S+\s+root=\S+ ro\s+(.*)$", re.MULTILINE)
SECONDS = 900


def people_with_keys() -> str:
    """The people of the machine's site; its custodians hold their shares by keys of the model's."""
    folder = project_root() / "inventories/modele-gip"
    model = yaml.safe_load((folder / "people.yml").read_text("utf-8"))["people"].values()
    people = yaml.safe_load(PEOPLE)
    keys = [person["pgp_key"] for person in model if "pgp_key" in person]
    for login, key in zip(people["custodians"], keys, strict=False):
        people["people"][login]["pgp_key"] = key
    return yaml.safe_dump(people)


class Hardened:
    """The machine as a host of a site of its own, ready for the role."""

    def __init__(self, folder: Path) -> None:
        self.machine = Machine(folder)
        self.site = folder / "machine"
        self.state = folder / "state" / "machine"
        shutil.copytree(project_root() / "inventories/lab", self.site)
        inventory = self.site / "hosts.yml"
        able = ", ".join(f"{name}: true" for name in ABLE)
        text = re.sub(r"capabilities: \{.*?\}", f"capabilities: {{{able}}}", inventory.read_text("utf-8"))
        inventory.write_text(text, "utf-8")
        settings = self.site / "site.yml"
        text = settings.read_text("utf-8").replace("custody: test-custodians", "custody: custodians")
        settings.write_text(text, "utf-8")
        (self.site / "people.yml").write_text(people_with_keys(), "utf-8")

    def begin(self) -> None:
        """Start the machine, and make the site's authority, whose key signs for the deploying account."""
        self.machine.make()
        self.state.mkdir(parents=True, mode=0o700)
        shutil.copy(self.machine.ssh_config, self.state / "ssh_config")
        (self.machine.folder / "authority").mkdir()
        authority = ssh.new_key(self.machine.folder / "authority", "authority")
        shutil.copy(f"{authority}.pub", self.state / AUTHORITY_FILE)
        self.certify("socle", self.machine.folder / KEY_FILE)
        shutil.copy(self.machine.folder / CERTIFICATE_FILE, self.state / CERTIFICATE_FILE)
        self.machine.start()

    def certify(self, principal: str, key: Path) -> None:
        """Sign a key for a principal, for longer than the slowest machine takes for these tests."""
        sign = ["ssh-keygen", "-q", "-s", self.machine.folder / "authority" / KEY_FILE, "-I", principal]
        names = ["-n", principal, "-V", "-1m:+12h", f"{key}.pub"]
        subprocess.run([*sign, *names], check=True, capture_output=True)

    def apply(self) -> str:
        """Run the role; what Ansible printed."""
        done = self.run_role()
        assert done.returncode == 0, (
            f"{done.stdout}\n{done.stderr}\n{self.machine.console.read_text()[-2000:]}"
        )
        return done.stdout

    def harden(self) -> None:
        """Apply the role, and start the machine again with the options that it wrote."""
        self.begin()
        assert "changed=0" not in self.apply()
        options = self.options_of_the_next_start()
        self.machine.halt()
        self.machine.start(f"{COMMAND_LINE} {options}")

    def run_role(self, **variables: str | int) -> subprocess.CompletedProcess[str]:
        """The same, however it ends."""
        program = Path(sys.executable).with_name("ansible-playbook")
        given = {"only_role": "hardening", "only_hosts": HOST, **variables}
        names = ("--extra-vars", json.dumps(given))
        return subprocess.run(
            [program, "-i", self.site / "site.yml", "playbooks/role.yml", *names],
            cwd=project_root(),
            env={**os.environ, "SOCLE_STATE": str(self.state.parent), "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def traits(self) -> HostTraits:
        """What the rules know of the machine, by the site's own files."""
        site = load(self.site)
        people = {login: person.model_dump() for login, person in site.people.people.items()}
        key = (self.state / AUTHORITY_FILE).read_text().strip()
        return HostTraits(site.hosts[HOST].groups, ABLE, "socle", tuple(accounts_of(people)), key)

    def options_of_the_next_start(self) -> str:
        """What GRUB, which this machine does not start by, would hand to the kernel."""
        found = LINE_OF_GRUB.search(self.machine.root("cat /boot/grub/grub.cfg"))
        assert found, "grub.cfg starts no kernel"
        return found[1]

    def answers(self) -> list[Fact]:
        """What an audit reads of it, by the program that the role laid."""
        site = load(self.site)
        host = site.hosts[HOST]
        session = ["ssh", "-F", self.machine.ssh_config, "-o", "BatchMode=yes", "machine", AUDIT_COMMAND]
        done = subprocess.run(session, input=asking(site, host), capture_output=True, text=True, check=True)
        return list(hosts.of_host(site, host, answered(done.stdout)))

    def read(self, wanted: list[Check]) -> list[str]:
        """What the commands of the checks print, in their order, in one session."""
        mark = "----socle----"
        script = "\n".join(f"echo {mark}\n{check.command} 2>&1" for check in wanted)
        return [part.lstrip("\n") for part in self.machine.root(script + "\n").split(mark)[1:]]


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hardened]:
    """The machine after the role, started with the options that the role wrote."""
    found = Hardened(tmp_path_factory.mktemp("host"))
    try:
        found.harden()
        yield found
    finally:
        found.machine.end()


def test_every_rule_holds_on_the_machine(hardened: Hardened) -> None:
    wanted = checks(applied(hardened.traits()))
    texts = hardened.read(wanted)
    assert len(texts) == len(wanted)
    wrong = [(c.name, c.judge(text)) for c, text in zip(wanted, texts, strict=True)]
    assert [found for found in wrong if found[1]] == []


def test_an_audit_sees_every_rule_hold(hardened: Hardened) -> None:
    facts = {fact.name: fact for fact in hardened.answers()}
    judged = {name: facts[name] for name in ("host.hardening", *(f"host.hardening.{need}" for need in ABLE))}
    assert {name: fact.problem for name, fact in judged.items() if fact.problem} == {}
    wrong = {(name, rule): one["wrong"] for name, fact in judged.items() for rule, one in fact.value.items()}
    assert {place: why for place, why in wrong.items() if why} == {}


def test_a_setting_that_somebody_changed_is_noticed(hardened: Hardened) -> None:
    rule = next(c for c in checks(applied(hardened.traits())) if "kernel.kptr_restrict" in c.rule.settings)
    hardened.machine.root("sysctl -q kernel.kptr_restrict=0")
    assert rule.judge(hardened.read([rule])[0]) == ["kernel.kptr_restrict is 0, expected 2"]
    hardened.machine.root("sysctl -q kernel.kptr_restrict=2")
    assert rule.judge(hardened.read([rule])[0]) == []


def test_services_run(hardened: Hardened) -> None:
    assert hardened.machine.root("systemctl --failed --no-legend --plain").strip() == ""
    assert (
        hardened.machine.root("systemctl is-active auditd apparmor socle-aide.timer").split()
        == ["active"] * 3
    )


def test_the_report_is_on_the_machine(hardened: Hardened) -> None:
    report = json.loads(hardened.machine.root("cat /etc/socle/hardening.json"))
    assert {"held", "not_evaluated", "deviations"} <= set(report)
    assert not [item for item in report["not_evaluated"] if "people" not in item["reason"]]


def test_a_person_comes_in_with_their_rights_and_leaves_a_trace(hardened: Hardened, tmp_path: Path) -> None:
    key = ssh.new_key(tmp_path, "alice")
    hardened.certify("alice", key)

    def alice(command: str) -> subprocess.CompletedProcess[str]:
        identity = ["-o", f"CertificateFile={key}-cert.pub", "-i", str(key)]
        own = ["-F", "none", *identity, "-o", "IdentitiesOnly=yes", "-p", str(hardened.machine.port)]
        known = [
            "-o",
            f"UserKnownHostsFile={hardened.machine.folder}/known_hosts",
            "-o",
            "HostKeyAlias=machine",
        ]
        return subprocess.run(
            ["ssh", "-tt", *own, *known, "alice@127.0.0.1", command],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    assert "alice" in alice("id -un").stdout
    allowed = alice("sudo -n /usr/bin/systemctl --no-pager --failed")
    assert allowed.returncode == 0, allowed.stdout
    for command in ("/usr/bin/cat /etc/shadow", "/bin/sh", "/usr/bin/systemctl --no-pager --failed --all"):
        assert alice(f"sudo -n {command}").returncode != 0
    journal = hardened.machine.root("journalctl --no-pager -t sudo -o cat")
    assert "alice : " in journal
    assert re.search(r"alice : command not allowed ;.* COMMAND=/usr/bin/cat /etc/shadow", journal), journal
    assert "COMMAND=/usr/bin/systemctl --no-pager --failed" in journal
    assert hardened.machine.root("test -e /var/log/sudo-io && echo recorded").strip() == ""


def comes_in_by_key_alone(hardened: Hardened) -> subprocess.CompletedProcess[str]:
    bare = [
        "ssh",
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "CertificateFile=none",
        "-o",
        "IdentitiesOnly=yes",
    ]
    known = ["-o", f"UserKnownHostsFile={hardened.machine.folder}/known_hosts", "-o", "HostKeyAlias=machine"]
    plain = hardened.machine.folder / "plain"
    shutil.copy(hardened.machine.folder / KEY_FILE, plain)
    target = ["-i", str(plain), "-p", str(hardened.machine.port), "socle@127.0.0.1", "true"]
    return subprocess.run([*bare, *known, *target], capture_output=True, text=True, check=False, timeout=120)


def test_nobody_else_comes_in(hardened: Hardened) -> None:
    done = comes_in_by_key_alone(hardened)
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_accounts_without_a_password_do_not_grow_old(hardened: Hardened) -> None:
    told = hardened.machine.root("chage --list alice")
    assert re.search(r"Password expires\s*: never", told), told


def test_a_kernel_can_be_updated_where_nothing_is_executed_in_shared_folders(hardened: Hardened) -> None:
    # Without modules: what runs from the shared folders is the same, in a fifth of the time.
    hardened.machine.root("echo MODULES=list > /etc/initramfs-tools/conf.d/quick")
    done = hardened.machine.run("sudo -n update-initramfs -u -k all")
    assert done.returncode == 0, done.stderr
    assert "noexec" not in done.stderr


def test_settings_that_let_nobody_in_are_undone(hardened: Hardened, tmp_path: Path) -> None:
    stranger = ssh.new_key(tmp_path, "stranger").with_name(f"{KEY_FILE}.pub").read_text().strip()
    done = hardened.run_role(hardening_user_authority=stranger, hardening_trial_seconds=20)
    assert done.returncode == 4, done.stdout
    assert "UNREACHABLE" in done.stdout
    end = time.monotonic() + 120
    while hardened.machine.run("true").returncode != 0:
        assert time.monotonic() < end, "the former settings did not come back"
        time.sleep(2)
    # The files are back before the server is started again with them.
    eventually(
        lambda: hardened.machine.root(f"systemctl is-active {UNDO}").strip(),
        lambda state: state in {"inactive", "failed"},
    )


def test_in_an_emergency_keys_open_sessions_until_the_next_run(hardened: Hardened) -> None:
    hardened.machine.root("socle-ssh-settings open")
    done = comes_in_by_key_alone(hardened)
    assert done.returncode == 0, done.stderr
    hardened.apply()
    assert comes_in_by_key_alone(hardened).returncode == 255
    assert hardened.machine.run("true").returncode == 0


def test_a_second_run_changes_nothing(hardened: Hardened) -> None:
    told = hardened.apply()
    assert "changed=0" in told, told
