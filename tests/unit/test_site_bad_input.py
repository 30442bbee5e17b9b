"""What a person reads when a site file is wrong: one line for each error, at its file and line."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest
from ruamel.yaml import YAML

from socle import catalogue
from socle.errors import ExitCode
from socle.paths import project_root
from socle.site import SiteErrors, fields, load
from socle.site.logins import refused
from socle.vault import place_of, policies, ssh
from socle.vault.policies import approles

LAB = project_root() / "inventories" / "lab"
TENANT = "tenants/210000014.yml"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lab's folder, below the current folder."""
    folder = tmp_path / "lab"
    shutil.copytree(LAB, folder)
    monkeypatch.chdir(tmp_path)
    return folder


def change(folder: Path, name: str, old: str, new: str) -> None:
    """Replace text of a site file that holds it."""
    text = (folder / name).read_text("utf-8")
    assert old in text, f"{name} does not hold {old!r}"
    (folder / name).write_text(text.replace(old, new, 1), "utf-8")


def errors(folder: Path) -> list[str]:
    """The lines of a load that fails."""
    with pytest.raises(SiteErrors) as caught:
        load(folder)
    assert caught.value.exit_code is ExitCode.INVALID_SITE
    assert all(error.exit_code is ExitCode.INVALID_SITE for error in caught.value.errors)
    return str(caught.value).splitlines()


def line_of(path: Path, text: str) -> int:
    """The line that holds a text, from 1."""
    lines = path.read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


CASES: list[dict[str, str]] = YAML(typ="safe").load(Path(__file__).with_name("site_bad_input.yml"))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['file']}: {case['new'][:40]}" for case in CASES])
def test_each_error_is_one_exact_line(lab: Path, case: dict[str, str]) -> None:
    change(lab, case["file"], case["old"], case["new"])
    at = case.get("at", case["new"])
    reported = case.get("reported", case["file"])
    lines = (lab / reported).read_text("utf-8").splitlines()
    line = max(number for number, text in enumerate(lines, 1) if at in text)
    assert f"lab/{reported}:{line}: {case['error']}" in errors(lab)


def test_all_errors_of_all_files_come_at_once(lab: Path) -> None:
    change(lab, "site.yml", "workers: 1", "workers: un\nworkerz: 2")
    change(lab, "hosts.yml", "10.77.0.22", "10.77.0.21")
    change(lab, TENANT, "size: XS", "size: Z")
    change(lab, "tenants/210000022.yml", "end: 2029-12-31", "end: 2025-12-31")
    (lab / "people.yml").unlink()
    found = errors(lab)
    assert [line.split(":")[0] for line in found] == [
        "lab/people.yml",
        "lab/site.yml",
        "lab/site.yml",
        "lab/tenants/210000014.yml",
        "lab/tenants/210000022.yml",
    ]


def test_the_addresses_of_hosts_are_compared_when_only_a_tenant_is_wrong(lab: Path) -> None:
    change(lab, "hosts.yml", "10.77.0.22", "10.77.0.21")
    change(lab, TENANT, "size: XS", "size: Z")
    assert len(errors(lab)) == 2


def test_removing_a_tenants_file_is_refused(lab: Path) -> None:
    (lab / TENANT).unlink()
    line = line_of(lab / "registry.yml", '"210000014"')
    assert errors(lab) == [
        (
            f"lab/registry.yml:{line}: the file {TENANT} of a tenant that is active is gone; "
            "expected the file, until the tenant's state is `certified`; "
            f"restore it with `git checkout -- {TENANT}`, then end the tenant first"
        )
    ]


def test_a_certified_tenant_may_go_and_gives_its_prefix_back(lab: Path) -> None:
    (lab / TENANT).unlink()
    change(lab, "registry.yml", "state: active", "state: certified")
    site = load(lab)
    assert "210000014" not in site.tenants


def test_a_broken_tenant_file_is_not_taken_for_a_removed_one(lab: Path) -> None:
    (lab / TENANT).write_text("a: [", "utf-8")
    assert all(line.startswith(f"lab/{TENANT}:") for line in errors(lab))


def test_two_files_with_one_siren(lab: Path) -> None:
    shutil.copy(lab / TENANT, lab / "tenants" / "autre.yml")
    found = errors(lab)
    line = line_of(lab / TENANT, "siren:")
    assert (
        f"lab/tenants/autre.yml:{line}: the SIREN 210000014 is already that of 210000014.yml; "
        in "\n".join(found)
    )
    assert any("the file is autre.yml and its SIREN 210000014" in text for text in found)


def test_quotas_above_capacity_name_the_tenant_that_came_last(lab: Path) -> None:
    change(lab, "site.yml", "cpu_allocation_ratio: 8.0", "cpu_allocation_ratio: 1.0")
    for _ in range(2):
        change(lab, "hosts.yml", "ram_gib: 2}", "ram_gib: 16}")
    (lab / "registry.yml").unlink()
    new = lab / "tenants" / "200000016.yml"
    text = (lab / TENANT).read_text("utf-8").split("servers:")[0]
    new.write_text(text.replace("210000014", "200000016").replace("size: XS", "size: S"), "utf-8")
    change(lab, "tenants/200000016.yml", "monthly_ceiling_eur: 30", "monthly_ceiling_eur: 90")
    found = errors(lab)
    assert len(found) == 1
    assert found[0].startswith("lab/tenants/260000013.yml:")
    assert "its 2 `vcpu` bring the quotas to 6, above the 4 of the site" in found[0]


def test_custodians_of_the_shares(lab: Path) -> None:
    change(lab, "people.yml", "custodians: [alice.custodian, ", "custodians: [")
    line = line_of(lab / "people.yml", "custodians:")
    assert errors(lab) == [
        (
            f"lab/people.yml:{line}: 2 custodian(s) for 3 unseal shares; "
            "expected 3, as `openbao: shares` of site.yml says; name one person for each share"
        )
    ]


def test_custodians_outside_a_lab_have_keys(lab: Path) -> None:
    change(lab, "site.yml", "custody: test-custodians", "custody: custodians")
    found = errors(lab)
    assert len(found) == 3
    assert all("has no `pgp_key`" in line for line in found)


def test_one_pgp_key_is_of_one_person_however_it_is_armoured(lab: Path) -> None:
    begin, end = (f"-----{word} PGP PUBLIC KEY BLOCK-----" for word in ("BEGIN", "END"))
    keys = {
        "Alice Martin": [begin, "", "mDMEaAAA", "BBBB", "=abcd", end],
        "Benoît Durand": [begin, "Comment: mine", "", "mDMEaAAABBBB", end],
    }
    for name, lines in keys.items():
        # Between quotes each line end is written twice.
        key = "\n".join(f"    {line}\n" for line in lines if line).replace(f"{end}\n", end)
        change(lab, "people.yml", f"name: {name},", f"name: {name}, pgp_key: '{key}',")
    (found,) = errors(lab)
    assert "`benoit.custodian` has the same `pgp_key` as `alice.custodian`" in found


def test_unsealing_by_an_hsm_names_it(lab: Path) -> None:
    change(lab, "site.yml", "seal: shamir", "seal: pkcs11")
    (found,) = errors(lab)
    assert "`seal: shamir` or `hsm`" in found


def test_operators_are_no_crypto_officers(lab: Path) -> None:
    change(lab, "people.yml", "roles: [operator]", "roles: [operator, crypto-officer]")
    (found,) = errors(lab)
    assert "`denis.operator` is crypto-officer and operator" in found


def test_a_folder_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert errors(tmp_path / "autre") == [
        "autre:1: no such site folder; expected inventories/<site>; name an existing folder"
    ]


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


STRANGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "1: the file is missing; expected a YAML file; write site.yml"),
    "a folder": (_directory, "1: this is a folder; expected a YAML file; remove or rename it"),
    "empty": (
        lambda p: p.write_bytes(b""),
        "1: the file is empty; expected a mapping (`key: value`); fill it in",
    ),
    "only comments": (
        lambda p: p.write_bytes(b"# nothing\n"),
        "1: the file is empty; expected a mapping (`key: value`); fill it in",
    ),
    "a list": (
        lambda p: p.write_bytes(b"- a\n"),
        "1: the file holds a list; expected a mapping (`key: value`)",
    ),
    "a word": (lambda p: p.write_bytes(b"oui"), '1: the file holds "oui"; expected a mapping (`key: value`)'),
    "NUL": (
        lambda p: p.write_bytes(b"a: 1\nb: \0\n"),
        "2: the control character U+0000; expected printable text; delete the character",
    ),
    "not UTF-8": (
        lambda p: p.write_bytes(b"a: 1\nb: \xe9\n"),
        "2: a byte that is not UTF-8; expected UTF-8 text; save the file as UTF-8",
    ),
    "deep": (
        lambda p: p.write_bytes(b"[" * 100_000),
        "1: nested over 24 levels deep; expected flatter values",
    ),
    "alias": (
        lambda p: p.write_bytes(b"a: &a [x]\nb: [*a, *a]\n"),
        "1: the anchor &a; expected plain values; write the value again",
    ),
    "tag": (
        lambda p: p.write_bytes(b"a: !!python/object/apply:os.system [x]\n"),
        "1: the tag tag:yaml.org,2002:python/object/apply:os; expected plain values; delete the tag",
    ),
    "two documents": (
        lambda p: p.write_bytes(b"---\na: 1\n---\nb: 1\n"),
        "3: a second document (---); expected one per file; split the file",
    ),
    "large": (
        lambda p: p.write_bytes(b"a" * (1 << 21)),
        "1: the file is larger than 1 MiB; expected a smaller file; split it",
    ),
}


@pytest.mark.parametrize("case", STRANGE)
def test_strange_bytes_are_one_line(lab: Path, case: str) -> None:
    make, message = STRANGE[case]
    make(lab / "site.yml")
    assert errors(lab) == [f"lab/site.yml:{message}"]


def test_a_huge_number_is_text_and_no_memory(lab: Path) -> None:
    change(lab, "site.yml", "workers: 1", f"workers: {'9' * 10_000}")
    found = errors(lab)
    assert len(found) == 1
    assert '`workers` is "9999' in found[0]
    assert len(found[0]) < 200


def test_what_a_file_says_cannot_write_on_the_terminal(lab: Path) -> None:
    change(lab, "site.yml", "region: lab", 'region: lab\n"a\\e[31m\\nb": 1')
    unknown, hidden = errors(lab)
    assert "the control character U+001B; expected printable text; delete the character" in hidden
    assert "`a�[31m b` is not a key here" in unknown


LOGINS = {
    "root": "is an account or a group of the system",
    "systemd-network": "is an account or a group of the system",
    "socle": "is the account that deploys",
    "socle-audit": "is an account or a group of the system",
    "deployer": "is the account of a machine or of a program",
    "auditor-b": "is the account of a machine or of a program",
    "openbao": "is the account of a machine or of a program",
    "1000": "reads as the number of an account",
    "a" * 33: "has over 32 characters",
}


@pytest.mark.parametrize("login", LOGINS)
def test_a_login_is_a_persons_own(lab: Path, login: str) -> None:
    change(lab, "people.yml", "  denis.operator:", f'  "{login}":')
    (found,) = errors(lab)
    line = line_of(lab / "people.yml", f'"{login}"')
    assert found.startswith(f"lab/people.yml:{line}: the login `{login}` {LOGINS[login]};")
    assert found.endswith("write for example `given.family`")


def test_no_machine_of_openbao_has_a_name_that_a_person_can_have() -> None:
    site = load(LAB)
    names = {*approles(place_of(site, catalogue.load())), *policies.HANDED_OUT, ssh.AUDIT, ssh.FORMER}
    assert [name for name in sorted(names) if not refused(name, site.settings.deploy_user)] == []


def test_a_machine_that_knows_no_time_zone_refuses_none(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(fields, "ZoneInfo", unknown)
    change(lab, "site.yml", "region: lab\n", "region: lab\ntimezone: Europe/Athens\n")
    assert load(lab).settings.timezone == "Europe/Athens"


def test_a_persons_name_is_one_line_in_a_block_too(lab: Path) -> None:
    person = "    {name: Denis Moreau, email: denis@gip.example, roles: [operator]"
    block = "    name: |\n      Denis\n      Moreau\n    email: denis@gip.example\n    roles: [operator]"
    text = (lab / "people.yml").read_text("utf-8")
    start = text.index("  denis.operator:")
    assert text[start:].startswith(f"  denis.operator:\n{person}")
    rest = text[text.index("leavers:") :]
    (lab / "people.yml").write_text(f"{text[:start]}  denis.operator:\n{block}\n{rest}", "utf-8")
    (found,) = errors(lab)
    assert "a name that the system's list of accounts cannot hold" in found


def test_a_folder_that_nobody_reads_is_named(lab: Path) -> None:
    for name in ("dérogations", "Evidence", "documents", "certificates", ".git"):
        (lab / name).mkdir()
    expected = "expected derogations/, evidence/, records/, tenants/"
    assert errors(lab) == [
        f"lab/Evidence:1: nobody reads a folder of this name; {expected}; rename it to `evidence`",
        f"lab/dérogations:1: nobody reads a folder of this name; {expected}; rename it to `derogations`",
    ]


def test_the_length_of_a_prefix_is_one_that_may_be_written(lab: Path) -> None:
    text = (lab / TENANT).read_text("utf-8")
    (lab / TENANT).write_text(re.sub(r"prefix: \d+", "prefix: 8", text, count=1), "utf-8")
    (found,) = errors(lab)
    assert found.endswith("expected a number of at least 24; write for example `prefix: 24`")


def test_a_folder_behind_a_closed_door_cannot_be_read(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", closed)
    assert errors(lab) == ["lab:1: the folder cannot be read; expected a folder that you may read"]
