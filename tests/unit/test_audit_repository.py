"""The history as the audit reads it: real repositories, real signatures, and every way to get around them."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from socle.audit import controls
from socle.audit.collect import repository, repository_kit, repository_tests
from socle.audit.collect.repository_git import NoHistory, Repository
from socle.audit.rules import RULES, Others
from socle.paths import project_root
from socle.site import load
from tests.unit.signed_repository import AUTHOR, OTHER, SignedRepository


@pytest.fixture
def signed(tmp_path: Path) -> SignedRepository:
    return SignedRepository(tmp_path)


def history(signed: SignedRepository) -> list[dict[str, Any]]:
    return repository._history(load(signed.site))


def red(control: str, value: Any) -> bool:
    """Whether a control finds something in a value."""
    one = controls.named(control)
    return bool(list(RULES[one.rule](value, one.expect, Others("essai", datetime.now(UTC)))))


def test_a_signed_change_that_another_person_merged_is_let_in(signed: SignedRepository) -> None:
    signed.change("one")
    signed.let_in("Change")
    told = history(signed)
    assert [(one["authors"], one["signer"], one["apart"]) for one in told] == [([AUTHOR], OTHER, True)] * 2
    assert not red("site-changes-signed", told)
    assert not red("site-changes-by-two", told)


def test_anothers_name_on_a_commit_is_not_another_person(signed: SignedRepository) -> None:
    signed.change("one")
    signed.commit("Change", AUTHOR, signed_by=OTHER)
    told = history(signed)[0]
    assert (told["authors"], told["signer"], told["apart"]) == (sorted([AUTHOR, OTHER]), OTHER, False)


@pytest.mark.parametrize("signer", [None, "stranger", OTHER])
def test_what_a_merge_brings_must_be_signed_by_somebody_else(
    signed: SignedRepository, signer: str | None
) -> None:
    signed.git("switch", "--quiet", "--create", "other")
    signed.change("one")
    signed.commit("Change", AUTHOR, signed_by=signer)
    signed.change("two")
    signed.commit("Change more", AUTHOR, signed_by=AUTHOR)
    signed.git("switch", "--quiet", "main")
    signed.merge("other", OTHER)
    assert not history(signed)[0]["apart"]


def test_a_merge_that_holds_more_than_its_parents_is_its_signers_own(signed: SignedRepository) -> None:
    signed.git("switch", "--quiet", "--create", "other")
    signed.change("one")
    signed.commit("Change", AUTHOR, signed_by=AUTHOR)
    signed.git("switch", "--quiet", "main")
    signed.merge("other", OTHER, "--no-commit")
    people = signed.site / "people.yml"
    people.write_text(people.read_text("utf-8") + "# one more\n", "utf-8")
    signed.git("commit", "--quiet", "--all", "--gpg-sign", "--message=Merge", who=OTHER)
    told = history(signed)[0]
    assert (told["authors"], told["apart"]) == (sorted([AUTHOR, OTHER]), False)


def test_a_repository_cannot_say_how_its_merges_are_done_again(signed: SignedRepository) -> None:
    signed.git("switch", "--quiet", "--create", "other")
    signed.change("one")
    signed.commit("Change", AUTHOR, signed_by=AUTHOR)
    signed.git("switch", "--quiet", "main")
    (signed.top / ".gitattributes").write_text("*.yml merge=mine\n", "utf-8")
    signed.change("mine")
    signed.let_in("Attributes and a change")
    signed.git("config", "merge.mine.driver", "echo '# put in' >> %A")
    signed.merge("other", OTHER)
    assert "# put in" in (signed.site / "site.yml").read_text("utf-8")
    assert [one["apart"] for one in history(signed)] == [False, True, True]


@pytest.mark.parametrize(("signer", "is_signed"), [(AUTHOR, True), ("stranger", False), (None, False)])
def test_nobody_lets_in_what_is_their_own_and_no_stranger_does(
    signed: SignedRepository, signer: str | None, is_signed: bool
) -> None:
    signed.change("one")
    signed.commit("Change", AUTHOR, signed_by=signer)
    told = history(signed)
    assert told[0]["signer"] == (signer if is_signed else None)
    assert red("site-changes-signed", told) is not is_signed
    assert red("site-changes-by-two", told)


def test_a_change_that_says_to_be_old_is_read_where_it_stands(
    signed: SignedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed.change("one")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
    signed.commit("Change", "stranger", signed_by=None)
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    signed.change("two")
    signed.commit("Change", AUTHOR, signed_by=OTHER)
    assert history(signed)[1]["moment"].startswith("2020")
    assert red("site-changes-signed", history(signed))


@pytest.mark.parametrize("mark", ["\x1f", "\u2028", "\x85", "\x0c"])
def test_an_author_cannot_write_a_signature_into_an_address(signed: SignedRepository, mark: str) -> None:
    signed.change("one")
    signed.emails["forger"] = mark.join(("a@x.example", "G", OTHER, "SHA256:key")) + mark
    signed.commit("Change", "forger", signed_by=None)
    told = history(signed)
    assert [one["signer"] for one in told] == [None, OTHER]
    assert red("site-changes-signed", told)


def test_a_merge_is_judged_with_all_that_it_brings(signed: SignedRepository) -> None:
    signed.change("one")
    signed.let_in("Change", OTHER, merged_by=OTHER)
    assert (history(signed)[0]["authors"], history(signed)[0]["apart"]) == ([OTHER], False)
    signed.git("reset", "--quiet", "--hard", "HEAD^1")
    signed.merge("topic", AUTHOR)
    assert (history(signed)[0]["signer"], history(signed)[0]["apart"]) == (AUTHOR, True)


def test_settings_of_a_repository_do_not_make_a_signature_right(
    signed: SignedRepository, tmp_path: Path
) -> None:
    signed.change("one")
    signed.commit("Change", AUTHOR, signed_by="stranger")
    told = tmp_path / "allowed"
    told.write_text(f"{OTHER} {(signed.keys / 'stranger.pub').read_text('utf-8')}", "utf-8")
    liar = tmp_path / "liar"
    liar.write_text(
        f"#!/bin/sh\necho 'Good \"git\" signature for {OTHER} with ED25519 key SHA256:x'\n", "utf-8"
    )
    liar.chmod(0o755)
    for name, value in {"gpg.ssh.allowedSignersFile": told, "gpg.ssh.program": liar}.items():
        signed.git("config", name, str(value))
    assert history(signed)[0]["signer"] is None


def test_a_change_outside_of_the_site_is_none_of_it(signed: SignedRepository) -> None:
    (signed.top / "elsewhere").write_text("x", "utf-8")
    signed.commit("Elsewhere", AUTHOR, signed_by=None)
    assert len(history(signed)) == 1


def test_a_folder_in_no_repository_is_not_evaluated(tmp_path: Path) -> None:
    shutil.copytree(project_root() / "inventories/lab", tmp_path / "essai")
    facts = {fact.name: fact for fact in repository._read(load(tmp_path / "essai"))}
    assert "n’est pas dans un dépôt git" in (facts["repository.history"].problem or "")


def test_a_file_that_is_not_the_commits_is_found_even_when_git_is_told_to_look_away(
    signed: SignedRepository,
) -> None:
    kit = Repository(signed.top)
    assert repository_kit.tree(kit)["differing"] == []
    signed.git("update-index", "--assume-unchanged", "essai/site.yml")
    signed.change("one")
    (signed.top / "more").write_text("x", "utf-8")
    told = repository_kit.tree(kit)
    assert (told["differing"], told["unknown"], told["broken"]) == (["essai/site.yml"], ["more"], [])
    (signed.site / "people.yml").unlink()
    assert repository_kit.tree(kit)["differing"] == ["essai/people.yml", "essai/site.yml"]


def test_a_damaged_and_a_shallow_history_are_told(signed: SignedRepository, tmp_path: Path) -> None:
    signed.change("one")
    signed.commit("Change", AUTHOR, signed_by=None)
    words = ["git", "clone", "--quiet", "--depth=1", f"file://{signed.top}", str(tmp_path / "part")]
    subprocess.run(words, check=True)
    assert repository_kit.tree(Repository(tmp_path / "part"))["shallow"] is True
    name = signed.git("rev-parse", "HEAD~1:essai/site.yml")
    (signed.top / ".git/objects" / name[:2] / name[2:]).unlink()
    assert repository_kit.tree(Repository(signed.top))["broken"]


def test_a_secret_is_found_after_it_was_removed_and_its_value_is_not_told(signed: SignedRepository) -> None:
    key = signed.site / "key.pem"
    key.write_bytes((signed.keys / AUTHOR).read_bytes())
    signed.commit("Leak", AUTHOR, signed_by=None)
    key.unlink()
    signed.commit("Hide", AUTHOR, signed_by=None)
    told = repository_kit.secrets(load(signed.site), Repository(signed.top))
    assert told["found"] == [{"name": "essai/key.pem", "kind": "clé privée"}]
    assert red("no-secret-in-history", told)


def test_a_commit_is_rebuilt_only_from_hashes(signed: SignedRepository) -> None:
    root = project_root()
    for name in ("requirements.lock", "tools/uv.lock", "tools/bao/go.mod", "tools/bao/go.sum"):
        (signed.top / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, signed.top / name)
    signed.commit("Lock", AUTHOR, signed_by=None)
    kit = Repository(signed.top)
    whole = repository_kit._rebuilding(kit, "HEAD")
    assert whole["known"]
    assert (whole["pinned"] > 400, whole["unpinned"]) == (True, [])
    lock = signed.top / "requirements.lock"
    lock.write_text("loose>=1\nbare==1.0\n" + lock.read_text("utf-8"), "utf-8")
    sums = signed.top / "tools/bao/go.sum"
    sums.write_text(
        "".join(one for one in sums.read_text("utf-8").splitlines(True) if "hashicorp/hcl " not in one),
        "utf-8",
    )
    signed.commit("Loosen", AUTHOR, signed_by=None)
    assert repository_kit._rebuilding(kit, "HEAD")["unpinned"] == [
        "loose>=1", "bare==1.0", "github.com/hashicorp/hcl"
    ]  # fmt: skip
    signed.git("reset", "--quiet", "--hard", "HEAD~1")
    lost = signed.git("rev-parse", "ORIG_HEAD")
    assert repository_kit._rebuilding(kit, lost) == {"known": False, "pinned": 0, "unpinned": []}
    assert not kit.knows("0" * 40)
    assert not kit.knows("--all")


def test_the_rules_find_what_the_projects_own_settings_hide(tmp_path: Path) -> None:
    for folder in repository_tests.CODE:
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.ruff.lint]\nignore = ["S"]\n', "utf-8")
    assert repository_tests.rules(tmp_path)["findings"] == []
    bad = "import subprocess\n\nsubprocess.run('ls', shell=True)\n"
    (tmp_path / "src/bad.py").write_text(bad, "utf-8")
    told = repository_tests.rules(tmp_path)["findings"]
    assert "src/bad.py:3 S602" in told


def test_a_report_counts_for_the_code_that_it_ran_on(signed: SignedRepository) -> None:
    commit = signed.git("rev-parse", "HEAD")
    kit = Repository(signed.top)
    (signed.top / "test_one.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): assert 0\ndef test_c(): pytest.skip()\n", "utf-8"
    )
    for name in (f"{commit}/unit.xml", f"{commit}-dirty/hosts.xml", f"{'0' * 40}/lab.xml"):
        words = [
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junit-xml={repository_tests.REPORTS}/{name}",
            "test_one.py",
        ]
        python = project_root() / ".venv/bin/python"
        subprocess.run([python, "-m", "pytest", *words], cwd=signed.top, capture_output=True, check=False)
    told = repository_tests.reports(signed.top, kit)
    assert set(told["suites"]) == {"unit"}
    assert [told["suites"]["unit"][kind] for kind in ("tests", "failures", "errors", "skipped")] == [
        3,
        1,
        0,
        1,
    ]
    assert red("code-tested", told)
    (signed.top / "inventories").mkdir()
    (signed.top / "inventories/mine.yml").write_text("x: 1\n", "utf-8")
    signed.git("add", "inventories")
    signed.git("commit", "--quiet", "--message=A site")
    assert set(repository_tests.reports(signed.top, kit)["suites"]) == {"unit"}
    signed.git("add", "test_one.py")
    signed.git("commit", "--quiet", "--message=Code")
    assert repository_tests.reports(signed.top, kit)["suites"] == {}
    (signed.top / repository_tests.REPORTS / f"{commit}/unit.xml").write_text("<testsuite", "utf-8")
    signed.git("reset", "--quiet", "--soft", commit)
    with pytest.raises(NoHistory, match=r"unit\.xml"):
        repository_tests.reports(signed.top, kit)


def test_tests_that_were_skipped_prove_nothing(tmp_path: Path) -> None:
    suites = {}
    for skipped in (0, 300):
        file = tmp_path / "unit.xml"
        counts = f'tests="300" failures="0" errors="0" skipped="{skipped}"'
        file.write_text(f'<testsuite timestamp="2026-11-29T07:00:00" {counts}/>', "utf-8")
        told = repository_tests._suite(file)
        suites[skipped] = {"suites": dict.fromkeys(("unit", "hosts", "roles", "lab"), told)}
    assert not red("code-tested", suites[0])
    assert red("code-tested", suites[300])


def test_only_what_ended_well_lately_is_a_deployment(
    signed: SignedRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path / "state"))
    site, kit = load(signed.site), Repository(signed.top)
    with pytest.raises(NoHistory, match="aucun déploiement"):
        repository_kit.deployed(site, kit)
    commit = signed.git("rev-parse", "--short", "HEAD")
    run = {"phases": [], "seconds": 1.0, "user": "x", "pid": 1, "started": None, "error": ""}
    for name, more in {
        "20990101T000000.000-deploy": {"commit": commit},
        "20990101T000001.000-deploy": {"commit": f"{commit}-dirty"},
        "20990101T000002.000-deploy": {"commit": "unknown"},
        "20990101T000003.000-deploy": {"commit": commit, "result": "failed"},
        "20990101T000004.000-rotate": {"commit": commit, "command": "rotate"},
        "20200101T000000.000-deploy": {"commit": commit, "when": "2020-01-01 00:00:00+01:00"},
    }.items():
        folder = tmp_path / "state" / site.name / "journal" / name
        folder.mkdir(parents=True)
        told = {**run, "folder": str(folder), "command": "deploy --only nova", "result": "done"}
        told |= {"when": "2099-01-01 00:00:00+01:00", **more}
        (folder / "run.json").write_text(json.dumps(told), "utf-8")
    told = repository_kit.deployed(site, kit)
    assert [(one["as_committed"], one["known"]) for one in told] == [
        (True, True),
        (False, True),
        (True, False),
    ]
    assert red("deployments-rebuildable", told)
