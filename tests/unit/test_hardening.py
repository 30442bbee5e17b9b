"""The hardening's rules: complete, laid as said; each check fails on every broken value."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from socle.catalogue import load as load_catalogue
from socle.hardening import Check, HostTraits, Rule, applied, checks, files, load
from socle.hardening.checks import COMMANDS
from socle.hardening.laid import REPORT, content
from socle.hardening.people import accounts_of, sudoers
from socle.hardening.problems import ENGLISH, FRENCH
from socle.paths import project_root

MACHINE = {"kernel": True, "auditd": True, "apparmor": True}
CONTAINER = dict.fromkeys(MACHINE, False)
HELD = ("minimal", "intermediary", "enhanced")
LEVELS = project_root() / "roles/hardening/bp-028-levels.csv"


def host(
    groups: tuple[str, ...] = (), able: dict[str, bool] | None = None, authority: str = ""
) -> HostTraits:
    return HostTraits(groups, able or MACHINE, "socle", ("alice", "bob"), authority)


ALL = checks(applied(host(authority="ssh-ed25519 AAAA")))
EACH = pytest.mark.parametrize("check", ALL, ids=[check.name for check in ALL])


def good(rule: Rule) -> str:  # noqa: C901, PLR0911 - one case for each kind
    """What the check's command prints on a host where the rule holds."""
    settings = rule.settings
    match rule.kind:
        case "sysctl":
            return "".join(f"{k} = {v.replace(' ', chr(9))}\n" for k, v in settings.items())
        case "modules":
            lines = "".join(f"install {name.replace('-', '_')} /bin/false\n" for name in settings)
            return lines + "ext4 1 2 - Live 0x0\n"
        case "command_line":
            return "root=/dev/vda " + " ".join(f"{k}={v}" for k, v in settings.items())
        case "mounts":
            return "".join(f"{path} rw,relatime,{options}\n" for path, options in settings.items())
        case "permissions":
            return "".join(f"{path} {rights}\n" for path, rights in settings.items())
        case "services":
            return "\n\n".join("LoadState=masked\nActiveState=inactive" for _unit in settings)
        case "apparmor":
            return "/usr/bin/man (enforce)\nlsb_release (enforce)\nbusybox (unconfined)\n"
        case "special_rights":
            return "/usr/bin/sudo\n" if "/usr/bin/sudo" in settings else ""
        case _ if rule.form == "sshd":
            lines = [f"{k.lower()} {v}" for k, v in settings.items() if k != "AllowUsers"]
            users = [f"allowusers {login}" for login in settings["AllowUsers"].split()]
            return "\n".join([*lines, *users])
        case _ if rule.form == "audit":
            return "\n".join(rule.lines)
    return content([rule])


def broken(rule: Rule) -> list[str]:  # noqa: PLR0911 - one case for each kind
    """Texts of hosts where something of the rule does not hold, one for each setting or line."""
    text = good(rule)
    match rule.kind:
        case "modules":
            loaded = [f"{text}{name.replace('-', '_')} 16384 0 - Live 0x0\n" for name in rule.settings]
            return loaded + [_without(text, f"install {name.replace('-', '_')} ") for name in rule.settings]
        case "mounts":
            return [
                text.replace(f"{path} rw,relatime,nodev", f"{path} rw,relatime", 1) for path in rule.settings
            ]
        case "permissions":
            return [
                text.replace(f"{path} 0", f"{path} 7", 1)
                if f"{path} 0" in text
                else text.replace(f"{path} 1", f"{path} 0", 1)
                for path in rule.settings
            ]
        case "services":
            return [text.replace("masked", "loaded", 1), text.replace("inactive", "active", 1), ""]
        case "apparmor":
            return ["", text.replace("lsb_release (enforce)", "lsb_release (complain)")]
        case "special_rights":
            return [text + "/usr/bin/backdoor\n" if "/usr/bin/sudo" in rule.settings else "/srv/orphan\n"]
        case "command_line":
            return [text.replace(f" {name}=", f" x{name}=") for name in rule.settings]
    if rule.lines:
        extra = [] if rule.form == "audit" else [text + "auth sufficient pam_permit.so\n"]
        return [_without(text, line) for line in rule.lines] + extra
    return [_changed(text, name) for name in rule.settings]


def _without(text: str, start: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(start))


def _changed(text: str, name: str) -> str:
    """The text with another name in place of a setting's: it is not set any more."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.lower().split("=")[0].split()[0] == name.lower())
    return "\n".join([*lines[:at], f"x{lines[at]}", *lines[at + 1 :]])


@EACH
def test_a_check_accepts_what_the_role_lays(check: Check) -> None:
    assert check.judge(good(check.rule)) == []


@EACH
def test_a_check_fails_on_every_broken_value(check: Check) -> None:
    texts = broken(check.rule)
    assert texts
    for text in texts:
        assert check.judge(text), text


@EACH
def test_a_check_fails_on_silence(check: Check) -> None:
    if check.rule.kind not in {"permissions", "special_rights"}:
        assert check.judge("")


@EACH
def test_an_auditor_is_told_the_same_problems_in_french(check: Check) -> None:
    for text in broken(check.rule):
        told, dit = check.judge(text), check.judge(text, FRENCH)
        assert len(dit) == len(told)
        assert not set(dit) & set(told)


def test_a_problem_has_a_sentence_in_both_languages() -> None:
    assert ENGLISH.keys() == FRENCH.keys()


def test_what_is_not_there_is_named_in_the_reader_s_language() -> None:
    (check,) = (c for c in ALL if "kernel.kptr_restrict" in c.rule.settings)
    there = good(check.rule)
    assert check.judge(_changed(there, "kernel.kptr_restrict")) == [
        "kernel.kptr_restrict is not set, expected 2"
    ]
    dit = check.judge(_changed(there, "kernel.kptr_restrict"), FRENCH)
    assert dit == ["kernel.kptr_restrict : trouvé absent, attendu 2"]


def test_every_rule_up_to_the_level_is_accounted_for() -> None:
    with LEVELS.open(encoding="utf-8") as stream:
        wanted = {row["id"] for row in csv.DictReader(stream) if row["level"] in HELD}
    document = load()
    entries = [*document.rules, *document.deviations, *document.accounted]
    known = {number for entry in entries for number in entry.rules}
    assert wanted <= known, sorted(wanted - known)
    assert len(wanted) > 50


def test_what_a_container_cannot_show_is_told_with_its_reason() -> None:
    here, there = applied(host(able=CONTAINER)), applied(host())
    assert len(here.rules) + len(here.not_evaluated) == len(there.rules) + len(there.not_evaluated)
    assert all(rule.needs is None for rule in here.rules)
    assert all(item.reason for item in here.not_evaluated)
    told = {(item.rules, item.what) for item in here.not_evaluated}
    assert told >= {(r.rules, f"{r.theme}: {r.why}") for r in there.rules if r.needs}


def test_hypervisors_keep_what_they_need_and_say_so() -> None:
    other, compute = (applied(host((group,))) for group in ("vault", "computes"))
    values = [
        {name: value for r in a.rules if r.kind == "sysctl" for name, value in r.settings.items()}
        for a in (other, compute)
    ]
    assert values[0]["net.ipv4.ip_forward"] == "0"
    assert "net.ipv4.ip_forward" not in values[1]
    assert values[1]["kernel.pid_max"] == "4194304"
    assert any("ip_forward" in d.what and d.reason for d in compute.deviations)
    assert not any("ip_forward" in d.what for d in other.deviations)


def test_every_deviation_names_a_setting_that_a_rule_has() -> None:
    rules = load().rules
    names = {name for rule in rules for name in rule.settings}
    lines = {line for rule in rules for line in rule.lines}
    for deviation in load().deviations:
        wanted = deviation.setting
        assert wanted is None or wanted in names or f"Defaults {wanted}" in lines, wanted


def test_keys_open_sessions_only_until_the_authority_is_there() -> None:
    texts = [
        _laid(host(authority=key), "/etc/ssh/sshd_config.d/05-socle-hardening.conf") for key in ("", "k")
    ]
    assert "AuthorizedKeysFile" not in texts[0]
    assert "AuthorizedKeysFile none\n" in texts[1]
    assert "TrustedUserCAKeys" in texts[1]


def test_the_report_on_the_host_says_all_three() -> None:
    report = json.loads(_laid(host(("computes",), CONTAINER), REPORT))
    assert report["held"]
    assert report["not_evaluated"]
    assert report["deviations"]


def test_nobody_is_told_twice_what_a_file_holds() -> None:
    paths = [entry["path"] for entry in files(applied(host()), host())]
    assert len(paths) == len(set(paths))


def _laid(traits: HostTraits, path: str) -> str:
    return str({e["path"]: e for e in files(applied(traits), traits)}[path]["content"])


PEOPLE: dict[str, dict[str, Any]] = {
    "alice": {"name": "Alice Martin", "roles": ["operator", "custodian"]},
    "carole": {"name": "Carole Petit", "roles": ["custodian"]},
}


def test_people_have_accounts_and_the_groups_of_their_roles() -> None:
    assert accounts_of(PEOPLE) == {
        "alice": {"name": "Alice Martin", "groups": ["socle-people", "socle-operator"]}
    }


def test_rights_name_whole_commands() -> None:
    units = sorted({unit for entry in load_catalogue().components.values() for unit in entry.units})
    text = sudoers(units)
    commands = [line.strip(" \\,") for line in text.splitlines() if line.startswith("    ")]
    assert len(commands) > len(units)
    for command in commands:
        program = command.split()[0].rsplit("/", 1)[-1]
        assert command.startswith("/usr/")
        assert program not in {"sh", "bash", "su", "sudo", "vi", "vim", "nano", "less", "python3", "env"}
        assert not set(command) & set("*?!["), "a pattern lets more through than it says"
    assert "ALL=(ALL" not in text


@pytest.mark.parametrize("role", sorted(load().rights))
def test_every_right_is_of_a_role_of_people(role: str) -> None:
    assert f"%socle-{role} ALL=(root:root) NOPASSWD:" in sudoers(["nova-api"])


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given to somebody else")
def test_one_walk_finds_special_rights_and_what_belongs_to_nobody(tmp_path: Path) -> None:
    stranger = 54321
    files = {
        "plain": (0, 0, 0o644),
        "owner": (stranger, 0, 0o644),
        "group": (0, stranger, 0o644),
        "setuid": (1, 1, 0o4755),
        "both": (1, stranger, 0o2755),
    }
    for name, (user, group, mode) in files.items():
        place = tmp_path / name
        place.touch()
        os.chown(place, user, group)
        place.chmod(mode)
    walk = COMMANDS["special_rights"].replace("find / ", f"find {tmp_path} ")
    done = subprocess.run(["/bin/sh", "-c", walk], capture_output=True, text=True, check=True)
    assert {Path(line).name for line in done.stdout.splitlines()} == files.keys() - {"plain"}
