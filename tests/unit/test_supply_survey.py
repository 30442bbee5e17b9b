"""A site judged as a whole: the kit, the site's own binaries, databases that it names; and the command."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from socle import tools
from socle.cli.app import run
from socle.errors import ExitCode
from socle.paths import project_root
from socle.site import load
from socle.site.settings import Binaries, Binary, Vulnerabilities
from socle.supply import sources
from socle.supply.survey import Databases, survey
from socle.tools.go import find_go
from tests.unit.test_supply_vulnerabilities import ranged, written


@pytest.mark.parametrize(("events", "code"), [([{"introduced": "0"}], 1), ([{"introduced": "999.0.0"}], 0)])
def test_the_command_says_what_has_to_be_done(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    events: list[dict[str, str]],
    code: int,
) -> None:
    monkeypatch.setattr(tools, "build", lambda _names, _tell: {})
    package = {"ecosystem": "PyPI", "name": "jinja2"}
    affected_ = [{"package": package, **ranged(*events, kind="ECOSYSTEM")}]
    place = written(tmp_path / "osv", id="PYSEC-2026-99", affected=affected_)
    assert run(["vulnerabilities", "--kit", "--osv", str(place), "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert [finding["id"] for finding in told["findings"]] == ["PYSEC-2026-99"] * code
    assert told["not_evaluated"] == ["Debian packages: the nodes were not asked"]
    assert {entry["analysis"]["state"] for entry in told["vulnerabilities"]} >= {
        "exploitable",
        "not_affected",
    }


def test_the_command_says_what_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tools, "build", lambda _names, _tell: {})
    assert run(["vulnerabilities", "--kit", "--osv", str(tmp_path / "no")]) == ExitCode.PREREQUISITE


def test_a_site_is_judged_by_its_own_binaries_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Go itself stands for a site's OpenBao: it is a binary of Go."""
    monkeypatch.setattr(tools, "build", lambda _names, _tell: {})
    program = find_go().path.resolve()
    site = load(project_root() / "inventories/lab")
    binary = Binary(path=str(program), sha256=hashlib.sha256(program.read_bytes()).hexdigest())
    own = replace(site, settings=site.settings.model_copy(update={"binaries": Binaries(bao=binary)}))
    (library, *_modules) = sources.built("go", program)
    package = {"ecosystem": "Go", "name": "stdlib"}
    place = written(
        tmp_path / "osv", affected=[{"package": package, **ranged({"introduced": library.version})}]
    )
    found = survey(own, Databases(osv=place), lambda _progress: None, nodes=False)
    (known,) = [one for one in found.judged.known if one.id == "GO-2026-1"]
    assert "bao of the site" in {entry.value for entry in known.component.properties}


def test_a_site_names_its_databases() -> None:
    site = load(project_root() / "inventories/lab")
    assert Databases.of_site(site) == Databases()
    named = Vulnerabilities(osv="osv", debian_tracker="/srv/tracker.json")
    other = replace(site, settings=site.settings.model_copy(update={"vulnerabilities": named}))
    assert Databases.of_site(other) == Databases(site.folder / "osv", Path("/srv/tracker.json"))
