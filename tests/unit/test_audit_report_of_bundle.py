"""A report, and what changed, tell of what was signed for their site, and of nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import socle.cli.daily  # noqa: F401 - its commands
from socle.audit import bundle, notary
from socle.audit.report import html, of_bundle
from socle.audit.verify import MANIFEST
from socle.cli.app import app
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import Site, load
from tests.unit.openssl_notary import chain


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("audits")
    chain(place, 3)
    return place


@pytest.fixture
def kept(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The three bundles of the lab's own chain."""
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path))
    site = lab()
    shutil.copytree(made / "chain", notary.chain_of(site))
    shutil.copytree(made / "tsa", notary.authority_of(site).parent)
    shutil.copy(made / "audit.pub", notary.signer_key(site))
    return bundle.bundles(notary.chain_of(site))


def lab(name: str = "lab") -> Site:
    return load(project_root() / "inventories" / name)


def all_green(path: Path) -> None:
    told = json.loads((path / bundle.AUDIT).read_text("utf-8"))
    for one in (*told["judgements"], *told["verdicts"]):
        one["status"] = "conforme"
    (path / bundle.AUDIT).write_text(json.dumps(told), "utf-8")


def test_a_report_on_proved_audits_shows_those_before(kept: list[Path]) -> None:
    shown = of_bundle.content_of(lab(), None)
    assert shown.unproved == ()
    assert shown.proof is not None
    assert shown.proof[0] == kept[2].name
    assert len(shown.past) == 2
    middle = of_bundle.content_of(lab(), kept[1])
    assert [past.moment for past in middle.past] == [bundle.moment_of(kept[0])]


@pytest.mark.parametrize("number", [0, 2])
def test_what_was_changed_gets_no_report(kept: list[Path], number: int) -> None:
    all_green(kept[number])
    with pytest.raises(SocleError, match=r"audit\.json.*contenu modifié") as error:
        of_bundle.content_of(lab(), None)
    assert error.value.exit_code is ExitCode.FAILED


def test_audits_before_those_that_are_kept_are_not_asked_for(kept: list[Path]) -> None:
    shutil.rmtree(kept[0])
    assert len(of_bundle.content_of(lab(), None).past) == 1
    shutil.rmtree(kept[1])
    assert of_bundle.content_of(lab(), None).past == ()


def test_an_audit_that_was_taken_out_gets_no_report(kept: list[Path]) -> None:
    shutil.rmtree(kept[1])
    with pytest.raises(SocleError, match="numéro 3 après le numéro 1"):
        of_bundle.content_of(lab(), None)


def test_an_audit_of_another_site_is_not_told_under_this_one(kept: list[Path]) -> None:
    other = lab("modele-gip")
    with pytest.raises(SocleError, match="is an audit of the site lab"):
        of_bundle.content_of(other, kept[2])
    shutil.copytree(notary.chain_of(lab()), notary.chain_of(other))
    with pytest.raises(SocleError, match="is an audit of the site lab"):
        of_bundle.content_of(other, None)


def test_a_report_says_what_it_could_not_prove(kept: list[Path]) -> None:
    notary.signer_key(lab()).unlink()
    shutil.rmtree(notary.authority_of(lab()).parent)
    shown = of_bundle.content_of(lab(), None)
    assert any("la clé publique du signataire manque" in line for line in shown.unproved)
    assert any("l’autorité manque" in line for line in shown.unproved)
    page = html.render(shown).decode()
    assert f"<p>Non prouvé : {kept[2].name} : signature non vérifiée" in page
    assert "(non prouvé)</dd>" in page
    assert not notary.authority_of(lab()).exists()


def changes() -> tuple[int, str]:
    done = CliRunner().invoke(app, ["--site", "lab", "audit", "changes"])
    return done.exit_code, done.stdout + (str(done.exception) if done.exit_code == 1 else "")


def test_what_changed_between_proved_audits_is_told(kept: list[Path]) -> None:
    assert changes() == (0, f"De {kept[1].name} à {kept[2].name} :\nRien n’a changé.\n")


@pytest.mark.parametrize("number", [1, 2])
def test_of_what_was_changed_since_no_change_is_told(kept: list[Path], number: int) -> None:
    all_green(kept[number])
    code, text = changes()
    assert code == ExitCode.FAILED
    assert "audit.json" in text
    assert "Rien n’a changé" not in text


def test_a_broken_manifest_is_told(kept: list[Path]) -> None:
    (kept[2] / MANIFEST).write_text("{")
    code, text = changes()
    assert code == ExitCode.FAILED
    assert "Rien n’a changé" not in text
    assert MANIFEST in text


def test_without_the_authority_what_changed_is_unproved(kept: list[Path]) -> None:
    notary.authority_of(lab()).unlink()
    done = CliRunner().invoke(app, ["--site", "lab", "audit", "changes"])
    assert done.exit_code == 0
    assert "NON PROUVÉ" in done.output
