"""Registers of what happened on a site: who and what they name exists, and time runs forward."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from socle.paths import project_root
from socle.site import SiteErrors, load

MODEL = project_root() / "inventories" / "modele-gip"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "modele-gip"
    shutil.copytree(MODEL, folder)
    monkeypatch.chdir(tmp_path)
    return folder


def errors_after(folder: Path, name: str, old: str, new: str) -> str:
    path = folder / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(SiteErrors) as caught:
        load(folder)
    assert len(caught.value.errors) == 1
    return str(caught.value)


def test_the_model_site_keeps_every_register_and_the_lab_none() -> None:
    kept = load(MODEL).records
    assert sorted(kept) == [
        "alarms",
        "changes",
        "drills",
        "incidents",
        "media",
        "notices",
        "reviews",
        "support",
    ]
    assert all(kept.values())
    assert load(project_root() / "inventories" / "lab").records == {}


@pytest.mark.parametrize(
    ("name", "old", "new", "error"),
    [
        ("records/drills.yml", "by: anne.lefevre", "by: anne.lefebvre", "write `anne.lefevre`"),
        ("records/drills.yml", "kind: restore", "kind: restor", "restore"),
        ("records/drills.yml", "date: 2026-09-14", "date: 2026-09-34", "year-month-day"),
        ("records/drills.yml", '["210001012"]', '["210000014"]', "the SIREN of a tenant"),
        (
            "records/media.yml",
            "given_to: serveurs-exemple",
            "given_to: serveurs",
            "a supplier of suppliers.yml",
        ),
        ("records/notices.yml", "incident: 2026-07-stockage", "incident: 2026-07", "an id of incidents.yml"),
        (
            "records/incidents.yml",
            "closed: 2026-07-03",
            "closed: 2026-06-03",
            "`closed` of `2026-07-stockage`",
        ),
        ("records/changes.yml", "approved_by: anne.lefevre", "approved_by: bruno.garnier", "their own work"),
        (
            "people.yml",
            "leavers:\n  kevin.lambert:",
            "leavers:\n  jean.caron:",
            "has left and is in `people`",
        ),
    ],
)
def test_what_a_register_cannot_say(site: Path, name: str, old: str, new: str, error: str) -> None:
    told = errors_after(site, name, old, new)
    assert error in told
    assert f"modele-gip/{name}:" in told


def test_a_register_of_another_name_is_refused(site: Path) -> None:
    (site / "records" / "drill.yml").write_text("drills: {}\n", "utf-8")
    with pytest.raises(SiteErrors, match="no register has this name"):
        load(site)
