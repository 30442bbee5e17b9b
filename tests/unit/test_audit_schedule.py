"""The daily audit's units: what systemd itself says of them, confined as the kit's others are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from socle.audit import schedule
from socle.audit.collect import audits, collect, station
from socle.errors import ExitCode, SocleError
from socle.paths import project_root, state_dir
from socle.site import Site, load

OTHERS = project_root() / "roles/certificates/templates/etc/systemd/system/socle-certificates.service.j2"
EXPOSED = "40"
"""Ten times what ``systemd-analyze security`` may give at most."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("SOCLE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SOCLE_CACHE", str(tmp_path / "cache"))
    return load(project_root() / "inventories/lab")


def settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def test_it_is_confined_as_the_others_are(site: Site) -> None:
    ours = settings(schedule.units(site)["socle-audit-lab.service"])
    for name, value in settings(OTHERS.read_text("utf-8")).items():
        if name in {"Description", "ExecStart", "ReadWritePaths", "CapabilityBoundingSet"}:
            continue
        if name == "ProtectHome":
            assert ours[name] == "read-only"
        elif name == "RestrictAddressFamilies":
            assert set(value.split()) <= set(ours[name].split())
        else:
            assert ours[name] == value, name
    assert ours["ReadWritePaths"].split()[0] == str(state_dir("lab"))
    assert "CAP_SYS_ADMIN" not in ours["CapabilityBoundingSet"]


def test_it_runs_the_read_only_audit_of_this_site_at_the_sites_time(site: Site) -> None:
    made = schedule.units(site)
    service, timer = settings(made["socle-audit-lab.service"]), settings(made["socle-audit-lab.timer"])
    assert service["ExecStart"].split()[1:] == ["--site", str(site.folder.resolve()), "audit", "daily"]
    assert Path(service["ExecStart"].split()[0]).is_file()
    assert service["SuccessExitStatus"] == "10"
    assert timer["OnCalendar"] == "*-*-* 04:20:00 Europe/Paris"
    assert timer["Persistent"] == "true"


def test_this_machine_is_read_outside_of_the_confinement(site: Site) -> None:
    service = settings(schedule.units(site)["socle-audit-lab.service"])
    before = service["ExecStartPre"]
    python, *words, folder, file = before.removeprefix("-+").split()
    assert before.startswith("-+"), "with full rights; without an answer the audit tells that there is none"
    assert (Path(python).is_file(), words) == (True, ["-m", station.__name__])
    assert folder == str(site.folder.resolve())
    assert f"Environment={schedule.TOLD}={file}\n" in schedule.units(site)["socle-audit-lab.service"]
    assert Path(file).parent.name == service["RuntimeDirectory"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units_and_finds_them_confined(site: Site, tmp_path: Path) -> None:
    for name, text in schedule.units(site).items():
        (tmp_path / name).write_text(text)
    service, timer = (str(tmp_path / f"socle-audit-lab.{kind}") for kind in ("service", "timer"))
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", service, timer]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "socle-audit" in line]
    assert (done.returncode, said) == (0, []), done.stderr
    judge = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSED}", service]
    done = subprocess.run(judge, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_a_machine_without_systemd_says_what_to_do(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "BOOTED", tmp_path / "none")
    with pytest.raises(SocleError, match="audit daily") as raised:
        schedule.start(site, tmp_path)
    assert raised.value.exit_code == ExitCode.PREREQUISITE
    assert not list(tmp_path.glob("socle-audit*"))


def test_a_place_that_no_unit_can_name_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOCLE_CACHE", str(tmp_path / "deux mots"))
    with pytest.raises(SocleError, match="no unit can name"):
        schedule.units(site)


def test_the_audit_sees_whether_its_timer_is_the_kits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site = load(project_root() / "inventories/lab")
    assert audits.laid(site, tmp_path) is False
    for name, text in schedule.units(site).items():
        (tmp_path / name).write_text(text, "utf-8")
    assert audits.laid(site, tmp_path) is True
    timer = tmp_path / "socle-audit-lab.timer"
    timer.write_text(timer.read_text("utf-8").replace("OnCalendar=*-*-*", "OnCalendar=*-01-01"), "utf-8")
    assert audits.laid(site, tmp_path) is False
    monkeypatch.setattr(schedule, "BOOTED", tmp_path / "none")
    assert "systemd ne tourne pas" in (audits.scheduled(site, tmp_path).problem or "")
    monkeypatch.setattr(schedule, "BOOTED", tmp_path)
    fact = audits.scheduled(site, tmp_path)
    assert fact.problem or set(fact.value) >= {"ActiveState", "UnitFileState", "laid"}


def test_the_audits_before_are_read_where_no_timer_can_be(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(schedule, "BOOTED", tmp_path / "none")
    facts = {fact.name: fact for fact in collect(site, "live", audits.COLLECTORS).facts}
    assert (facts["audit.kept"].value, facts["audit.kept"].problem) == ({}, None)
    assert "systemd ne tourne pas" in (facts["audit.schedule"].problem or "")
