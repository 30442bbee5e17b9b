"""What a host answers to the audit and how it is judged: what is odd there must not look right."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from socle import hardening, vault
from socle.audit import controls
from socle.audit.collect import agent_accounts, agent_apt, agent_system, declared_hosts, session
from socle.audit.collect.agent import Unread
from socle.audit.judging import judge
from socle.audit.model import Fact, Judgement, Status
from socle.audit.rules import RULES, Others
from socle.paths import project_root
from socle.site import load
from tests.unit.audit_golden import golden, one_pass


def test_bytes_that_are_no_text_cost_one_hosts_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    site = load(project_root() / "inventories/lab")

    def ssh(_site: object, host: object, *_how: object) -> list[str]:
        said = r"{\377}" if host is site.hosts["cmp1"] else "{}"
        return ["/bin/sh", "-c", f"cat >/dev/null; printf '{said}'"]

    monkeypatch.setattr(session, "ssh", ssh)
    monkeypatch.setattr(vault, "audit_key", lambda _place, folder: folder / "key")
    session.new_pass()
    found = session.read_hosts(site)
    session.new_pass()
    problems = {name: one.problem or "" for name, one in found.items()}
    assert problems.pop("cmp1") == "la réponse de l’hôte est tronquée ou illisible"
    assert set(problems.values()) == {"la réponse de l’hôte n’a pas la forme attendue"}


def told_accounts(monkeypatch: pytest.MonkeyPatch, **more: str) -> dict[str, Any]:
    """What the agent says of the accounts that the site declares, with lines before those of a good host."""
    declared = golden("lab").of("host.declared")["ctl1"].value["groups"]
    good = golden("lab").of("host.accounts")["ctl1"].value["accounts"]
    groups = sorted({group for names in declared.values() for group in names})
    members = {group: ",".join(name for name in declared if group in declared[name]) for group in groups}
    files = {
        "passwd": [f"{one['name']}:x:{one['uid']}:{one['gid']}::{one['home']}:/bin/bash" for one in good],
        "shadow": [f"{one['name']}:*:20000:0:99999:7:::" for one in good],
        "group": [f"{one['name']}:x:{one['gid']}:" for one in good]
        + [f"{group}:x:{number}:{members[group]}" for number, group in enumerate(groups, 2000)]
        + ["sudo:x:27:"],
    }
    laid = {f"/etc/{name}": "\n".join([*more.get(name, "").split(), *files[name]]) for name in files}
    monkeypatch.setattr(agent_accounts, "text", lambda path: laid[path])
    return agent_accounts.accounts({})


def judged(control: str, **values: Any) -> Judgement:
    """One control on facts of one host, beside what the site declares of it."""
    facts = [Fact(name=f"host.{name}", subject="ctl1", value=value) for name, value in values.items()]
    return judge(controls.load()[control], one_pass([*facts, golden("lab").of("host.declared")["ctl1"]]))


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("passwd", "", None),
        ("passwd", "denis.operator:x:1003:27::/home/denis.operator:/bin/bash", "sudo"),
        ("passwd", "denis.operator:x:0:0::/root:/bin/bash", "un second compte de numéro 0"),
        ("passwd", "denis.operator:x:1003:4711::/home/denis.operator:/bin/bash", "4711"),
        ("group", "denis.operator:x:27:\nplain:x:27:denis.operator", "sudo"),
        ("shadow", "glance:$6$salt$hash:20000:0:99999:7:::", "plusieurs lignes de ce nom"),
        ("group", "socle-people:x:2000:", "plusieurs lignes de ce nom"),
    ],
)
def test_accounts_are_judged_by_every_group_and_line(
    monkeypatch: pytest.MonkeyPatch, file: str, line: str, found: str | None
) -> None:
    judgement = judged("host-accounts-declared", accounts=told_accounts(monkeypatch, **{file: line}))
    assert judgement.status is (Status.NON_CONFORME if found else Status.CONFORME), judgement
    assert not found or any(found in finding.found for finding in judgement.findings)


def test_the_first_line_of_an_account_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_accounts(monkeypatch, shadow="glance::20000:0:99999:7:::")
    assert next(one["password"] for one in told["accounts"] if one["name"] == "glance") == "empty"


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Package lists of a host whose security suite was signed on 29 November."""
    monkeypatch.setattr(agent_system, "LISTS", tmp_path)
    monkeypatch.setattr(agent_system, "text", _release)
    (tmp_path / "deb.debian.org_debian_dists_trixie_InRelease").write_text("Suite: stable\n")
    return tmp_path


def _release(path: str) -> str:
    return "VERSION_CODENAME=trixie\n" if path == "/etc/os-release" else Path(path).read_text("utf-8")


def test_updates_are_told_by_the_lists_of_the_security_suite(
    lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def output(*words: str, **_how: Any) -> str:
        asked.append(words)
        return "Inst linux-image-6.12 (6.12 Debian-Security:13/stable-security [amd64])\nInst a (1 x [all])\n"

    monkeypatch.setattr(agent_system, "output", output)
    for other in ("", "_other-mirror"):
        name = f"deb.debian.org{other}_debian-security_dists_trixie-security_InRelease"
        (lists / name).write_text("Date: Sun, 29 Nov 2026 00:53:13 UTC\nSuite: stable-security\n")
    told = agent_system.updates({})
    assert (told["security"], told["others"]) == (["linux-image-6.12"], 2)
    assert datetime.fromtimestamp(told["security_seconds"], UTC) == datetime(
        2026, 11, 29, 0, 53, 13, tzinfo=UTC
    )
    # Packages that bring new ones wait too; without an archive at hand, --no-download fails.
    assert "dist-upgrade" in asked[0]
    assert "--no-download" not in asked[0]


def test_without_lists_of_the_security_suite_nothing_is_told(lists: Path) -> None:
    (lists / "deb.debian.org_debian-security_dists_bookworm-security_InRelease").write_text("Date: x\n")
    with pytest.raises(Unread, match="trixie-security"):
        agent_system.updates({})


@pytest.mark.parametrize(("days", "status"), [(5, Status.CONFORME), (8, Status.NON_CONFORME)])
def test_lists_of_yesterday_do_not_hide_an_old_security_suite(days: int, status: Status) -> None:
    now = int(datetime.now(UTC).timestamp())
    told = {"lists_seconds": now, "security_seconds": now - days * 86400, "security": [], "others": 0}
    assert judged("security-updates-watched", updates=told).status is status


MIRROR = "http://deb.debian.org/debian"
GOOD = f"""\
Types: deb
URIs: {MIRROR}
Suites: trixie trixie-updates
Signed-By: /k

# Comments may stand anywhere.
Types: deb deb-src
URIs: {MIRROR}-security
Suites: trixie-security
Signed-By: /k
"""


def told_sources(monkeypatch: pytest.MonkeyPatch, folder: Path, files: dict[str, str]) -> dict[str, Any]:
    """What the agent says of files of sources, where apt-config puts them."""
    (folder / "parts").mkdir()
    for name, body in files.items():
        (folder / "parts" / name).write_text(body, encoding="utf-8")
    said = {
        "dump": 'Dir "/";\nacquire::AllowWeakRepositories "on";\n' if "weak" in files else 'Dir "/";\n',
        "shell": f"LIST='{folder}/sources.list'\nPARTS='{folder}/parts/'\n",
    }
    monkeypatch.setattr(agent_apt, "output", lambda _program, asked, *_names: said[asked])
    return agent_apt.apt({})


@pytest.mark.parametrize(
    "files",
    [
        {"debian.sources": GOOD},
        {"a.list": f"deb [signed-by=/k] {MIRROR} trixie main\n", "b.sources": GOOD},
        {"debian.sources": GOOD, "c.sources": "Enabled: no\nURIs: https://elsewhere.example\n"},
        {
            "debian.sources": GOOD.replace(
                "Signed-By: /k\n", "Signed-By:\n -----BEGIN PGP\n .\n mQ\nTrusted: no\n"
            )
        },
    ],
)
def test_sources_of_the_site_are_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str]
) -> None:
    judgement = judged("package-sources", apt=told_sources(monkeypatch, tmp_path, files))
    assert judgement.status is Status.CONFORME, judgement


@pytest.mark.parametrize(
    "files",
    [
        {"debian.sources": GOOD.partition("\n\n")[0]},
        {"debian.sources": GOOD.replace("trixie-security", "bookworm-security")},
        {"debian.sources": GOOD.replace("deb deb-src", "deb-src")},
        {"debian.sources": GOOD + "Enabled: 0\n"},
        {"debian.sources": GOOD + "Trusted: true\n"},
        {"debian.sources": GOOD + "Allow-Insecure: enable\n"},
        {"debian.sources": GOOD + " \nTrusted: yes\n"},
        {"debian.sources": GOOD.replace(f"{MIRROR}\n", f"{MIRROR}\n https://evil.example/debian\n")},
        {"debian.sources": GOOD.replace(f"{MIRROR}\n", f"{MIRROR}\n#\n\thttps://evil.example/debian\n")},
        {"debian.sources": GOOD, "b.list": f"deb [signed-by=/k trusted=true] {MIRROR} trixie main"},
        {"debian.sources": GOOD, "b.list": f"deb [signed-by=/k Allow-Weak=1] {MIRROR} trixie main"},
        {"debian.sources": GOOD, "b.list": f"deb [signed-by=/k arch={MIRROR}] copy:/evil trixie main"},
        {"debian.sources": GOOD, "b.list": f"deb {MIRROR} trixie main"},
        {"debian.sources": GOOD, "b.list": "deb"},
        {"debian.sources": GOOD, "weak": ""},
    ],
)
def test_sources_that_are_missing_foreign_or_unsigned_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str]
) -> None:
    judgement = judged("package-sources", apt=told_sources(monkeypatch, tmp_path, files))
    assert judgement.status is Status.NON_CONFORME, judgement


@pytest.mark.parametrize(
    "line",
    [
        "Match Address 0.0.0.0/0",
        '"Match" Address 0.0.0.0/0',
        "match=Address 0.0.0.0/0",
        '\t""\tMATCH\tAddress 0.0.0.0/0',
        "= Match Address 0.0.0.0/0",
        "",
    ],
)
def test_settings_of_some_connections_only_are_told_beside_the_audits_own(tmp_path: Path, line: str) -> None:
    site = load(project_root() / "inventories/lab")
    traits = declared_hosts.traits(site, site.hosts["ctl1"])
    laid = {entry["path"]: entry for entry in hardening.files(hardening.applied(traits), traits)}
    own = laid["/etc/ssh/sshd_config.d/90-socle-audit.conf"]["content"]
    (tmp_path / "d").mkdir()
    (tmp_path / "d/90-socle-audit.conf").write_text(own)
    (tmp_path / "more").write_text(f"# Match nobody\n{line}\n  PasswordAuthentication yes\n")
    (tmp_path / "d/99-more.conf").write_text(f'Include="{tmp_path}/mor?"\n')
    (tmp_path / "sshd_config").write_text("Include d/*.conf\nUsePAM yes\n")
    told = agent_accounts.match_blocks(str(tmp_path / "sshd_config"), set())
    assert len(told) == (2 if line else 1)
    good = golden("lab").of("host.sshd")["ctl1"].value
    status = Status.NON_CONFORME if line else Status.CONFORME
    assert judged("ssh-no-exceptions", sshd={**good, "matches": sorted(told)}).status is status


def test_a_line_behind_a_block_is_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("Match User x\n\n  PermitTTY no\nInclude b\n# end\nPermitRootLogin yes\n")
    (tmp_path / "b").write_text("Match User y\nInclude a\n")
    told = agent_accounts.match_blocks(str(tmp_path / "a"), set())
    assert told == ["Match User y; Include a", "Match User x; PermitTTY no; Include b; PermitRootLogin yes"]


def test_files_with_odd_names_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_accounts, "SECRET_PLACES", (str(tmp_path),))
    monkeypatch.setattr(agent_accounts, "KEY_PLACES", (str(tmp_path),))
    names = ["plain.conf", "a\tb.conf", "line\u2028.conf", "next\u0085.conf", "new\nline.conf", "\t\t.conf"]
    names += ["carriage\rreturn.conf", os.fsdecode(b"byte\xff.conf")]
    for name in names:
        (tmp_path / name).write_text("-----BEGIN PRIVATE KEY-----")
        (tmp_path / f"folder {name}").mkdir()
        (tmp_path / f"folder {name}" / "id_rsa").touch(0o600)
    told = agent_accounts.secret_files({})
    shown = [name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in names]
    assert {one["path"] for one in told} == {str(tmp_path / name) for name in shown}
    keys = agent_accounts.keys({})
    assert {one["path"] for one in keys} == {str(tmp_path / f"folder {name}" / "id_rsa") for name in shown}
    assert {(one["mode"], one["empty"]) for one in keys} == {("0600", True)}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("input tcp 22,2222", True),
        ("input tcp 1-1024", True),
        ("input everything", True),
        ("input from 10.77.0.9", True),
        ("input != from 10.77.0.1 tcp 22", True),
        ("input != tcp 80", True),
        ("input protocol 6", True),
        ("input protocol 1-17", True),
        ("input tcp from port 80", True),
        ("input from 10.77.0.1 tcp 22,2222", False),
        ("input tcp 23,80-90", False),
        ("input udp 22", False),
        ("input icmp echo-request", False),
        ("output everything", False),
    ],
)
def test_every_line_that_may_reach_ssh_names_stations(line: str, wrong: bool) -> None:
    declared = golden("lab").of("host.declared")["ctl1"].value["firewall"]
    judgement = judged("ssh-admin-stations", firewall={**declared, "accepts": [*declared["accepts"], line]})
    assert (judgement.status is Status.NON_CONFORME) is wrong, judgement


def test_what_was_found_before_a_rule_cannot_read_on_stays_found() -> None:
    accounts = [{"name": "open", "password": "empty"}, {"name": "strange"}]
    judgement = judged("shadow-hashes", accounts={"accounts": accounts})
    assert judgement.status is Status.NON_CONFORME
    assert [finding.subject for finding in judgement.findings] == ["ctl1 — open"]
    assert "KeyError" in (judgement.reason or "")


@pytest.mark.parametrize(("ahead", "status"), [(60, Status.CONFORME), (3600, Status.NON_CONFORME)])
def test_a_date_to_come_is_not_recent(ahead: int, status: Status) -> None:
    then = int(datetime.now(UTC).timestamp()) + ahead
    assert judged("malware-signatures", malware={"unit": "active", "signatures": then}).status is status
    image = {
        "name": "debian",
        "visibility": "public",
        "hidden": False,
        "created": datetime.fromtimestamp(then, UTC).isoformat(),
    }
    others = Others("lab", datetime.now(UTC), {})
    deviations = list(RULES["images-recent"]([image], {"days": 30}, others))
    assert bool(deviations) is (status is Status.NON_CONFORME)


@pytest.mark.parametrize(("most", "status"), [("0", Status.NON_CONFORME), ("3", Status.CONFORME)])
def test_an_idle_session_is_ended_at_some_time(most: str, status: Status) -> None:
    good = golden("lab").of("host.sshd")["ctl1"].value
    assert judged("ssh-sessions", sshd={**good, "clientalivecountmax": most}).status is status
