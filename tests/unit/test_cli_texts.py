"""What people and the cloud wrote is shown as it is: no program of the screen reads it as styles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from socle.audit.model import Judgement, Status
from socle.cli import tenancy
from socle.cli.app import good, out, run
from socle.cli.auditing import _judgements
from socle.deploy.progress import Screen
from socle.paths import project_root
from socle.site import load

NAME = "CC [/b] [red]Modele[/red] :cow:"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lab whose first tenant and whose own title look like styles."""
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path / "state"))
    folder = tmp_path / "lab"
    shutil.copytree(project_root() / "inventories" / "lab", folder)
    for file, name in (("tenants/210000014.yml", "  name: "), ("site.yml", "title: ")):
        lines = (folder / file).read_text("utf-8").splitlines(keepends=True)
        first = next(index for index, line in enumerate(lines) if line.startswith(name))
        lines[first] = f'{name}"{NAME}"\n'
        (folder / file).write_text("".join(lines), "utf-8")
    return folder


def test_a_list_of_tenants(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--site", str(lab), "tenant", "list"]) == 0
    assert NAME in capsys.readouterr().out


def test_the_title_of_a_table(lab: Path) -> None:
    with out.capture() as shown:
        out.print(tenancy._tenant(load(lab), "210000014"))
    assert NAME in shown.get()


def test_lines_of_a_run_and_of_success() -> None:
    with out.capture() as shown:
        good(NAME)
        Screen(out).begin(NAME, None)
    assert shown.get().splitlines() == [f"✓ {NAME}", f"{NAME} …"]


def test_findings_of_an_audit_without_a_backslash_before_them() -> None:
    found = Judgement(control="SNC-1", status=Status.NOT_EVALUATED, reason=NAME)
    with out.capture() as shown:
        out.print(_judgements([found]))
    assert NAME in shown.get()
