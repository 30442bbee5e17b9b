"""Waivers and evidence: what counts, until when, and every way in which they are wrong."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socle.audit import controls, requirements
from socle.audit.collect.register import COLLECTORS, signature
from socle.audit.evaluating import evaluate
from socle.audit.model import Fact, Facts, Finding, Judgement, Status
from socle.audit.mutations import mutated
from socle.audit.register import registered, waived
from socle.paths import project_root
from socle.site import SiteErrors, load
from tests.unit.audit_golden import golden

CONTROL = "supplier-control-outside-eu"
WAIVER = {
    "rule": CONTROL,
    "applies_to": ["lab"],
    "reason": "r",
    "compensation": "c",
    "owner": "a",
    "decided_by": "b",
    "start": "2026-06-01",
    "end": "2027-05-31",
}
ENTRY = {
    "title": "Politique",
    "requirements": ["5.2.a"],
    "file": "documents/politique.md",
    "reference": None,
    "sha256": "0" * 64,
    "owner": "a",
    "signed_by": "b",
    "effective": "2026-06-01",
    "valid_until": "2027-05-31",
    "signature": "absent",
}
DAY = datetime(2026, 11, 29, 12, tzinfo=UTC)


def facts(waivers: dict[str, Any], entries: dict[str, Any], moment: datetime = DAY) -> Facts:
    """A lab where one control fails, with these registers."""
    broken = mutated(controls.named(CONTROL), golden("lab"))
    more = (
        Fact(name="register.waivers", subject="lab", value=waivers),
        Fact(name="register.evidence", subject="lab", value=entries),
    )
    return broken.model_copy(update={"facts": (*broken.facts, *more), "started": moment, "ended": moment})


def status(read: Facts) -> Status:
    return next(j.status for j in evaluate(read).judgements if j.control == CONTROL)


def test_a_waiver_that_runs_sets_apart_and_is_never_green() -> None:
    assert status(facts({}, {})) is Status.NON_CONFORME
    result = evaluate(facts({"w": WAIVER}, {}))
    assert status(facts({"w": WAIVER}, {})) is Status.WAIVED
    assert {v.status for v in result.verdicts if v.requirement == "19.6.c"} <= {
        Status.WAIVED,
        Status.NON_CONFORME,
    }
    assert result.faults == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"end": "2026-11-28"}, "échue le 28/11/2026"),
        ({"rule": "no-such-control"}, "n’est ni un contrôle"),
        ({"rule": "Impossible-à-trouver"}, "n’est ni un contrôle"),
        ({"rule": "anssi-bp-028-"}, "n’est ni un contrôle"),
        ({"applies_to": ["elsewhere"]}, "n’est pas un sujet"),
    ],
)
def test_a_wrong_waiver_covers_nothing_and_is_told(change: dict[str, Any], said: str) -> None:
    read = facts({"w": {**WAIVER, **change}}, {})
    assert status(read) is Status.NON_CONFORME
    assert any(said in fault for fault in evaluate(read).faults)


def test_waivers_never_cover_each_of_several_subjects() -> None:
    control = controls.named("ssh-root-login")
    hosts = golden("lab").expected["host.sshd"]
    failed = Judgement(
        control=control.id,
        status=Status.NON_CONFORME,
        findings=tuple(Finding(subject=host, expected="no", found="yes") for host in hosts[:2]),
    )
    first, others = (
        {**WAIVER, "rule": control.id, "applies_to": list(some)} for some in (hosts[:2], hosts[2:])
    )
    known = {control.id: control}
    (covered,), faults = waived(known, [failed], facts({"w": first}, {}))
    assert (covered.status, faults) == (Status.WAIVED, ())
    for wide in ({"w": {**first, "applies_to": list(hosts)}}, {"v": first, "w": others}):
        (judged,), faults = waived(known, [failed], facts(wide, {}))
        assert judged.status is Status.NON_CONFORME
        assert len(faults) == len(wide)
        assert "aucun sujet sans dérogation" in faults[0]


def test_a_waiver_ends_with_its_day_in_paris() -> None:
    last = {"w": {**WAIVER, "end": "2026-11-29"}}
    assert status(facts(last, {}, datetime(2026, 11, 29, 22, 59, tzinfo=UTC))) is Status.WAIVED
    assert status(facts(last, {}, datetime(2026, 11, 29, 23, 1, tzinfo=UTC))) is Status.NON_CONFORME


def test_a_control_that_admits_none_is_not_waived() -> None:
    strict = {**controls.load(), CONTROL: controls.named(CONTROL).model_copy(update={"waivable": False})}
    read = facts({"w": WAIVER}, {})
    judgements = [j for j in evaluate(facts({}, {})).judgements if j.control == CONTROL]
    found, faults = waived(strict, judgements, read)
    assert [j.status for j in found] == [Status.NON_CONFORME]
    assert "n’admet pas" in faults[0]


def test_evidence_that_is_current_is_said_and_never_called_conform() -> None:
    verdict = next(v for v in evaluate(facts({}, {"p": ENTRY})).verdicts if v.requirement == "5.2.a")
    assert verdict.status is Status.EVIDENCE
    assert "evidence/p.yml" in verdict.evidence[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"valid_until": "2026-11-28"}, "périmée depuis le 28/11/2026"),
        ({"effective": "2026-12-01"}, "à venir"),
        ({"effective": "2025-01-01"}, "trop ancienne"),
        ({"signature": "invalid"}, "signature non valable"),
    ],
)
def test_evidence_that_does_not_count_is_told_why(change: dict[str, Any], why: str) -> None:
    result = evaluate(facts({}, {"p": {**ENTRY, **change}}))
    verdict = next(v for v in result.verdicts if v.requirement == "5.2.a")
    assert verdict.status is Status.NOT_EVALUATED
    assert why in verdict.reason


def test_evidence_that_nobody_here_saw_is_told_so() -> None:
    elsewhere = {**ENTRY, "file": None, "reference": "coffre 3"}
    for entries, said in (
        ({"p": ENTRY}, "1 preuve(s) au registre, à jour"),
        ({"p": ENTRY, "q": elsewhere}, "2 preuve(s) au registre, à jour, dont 1 déclarée(s), non vue(s)"),
    ):
        verdict = next(v for v in evaluate(facts({}, entries)).verdicts if v.requirement == "5.2.a")
        assert verdict.reason == said
        assert "non vue" in verdict.evidence[-1] or len(entries) == 1


def test_evidence_for_an_unknown_requirement_is_told() -> None:
    _register, faults = registered(
        requirements.load(), facts({}, {"p": {**ENTRY, "requirements": ["99.9.z"]}})
    )
    assert "99.9.z" in faults[0]


@given(st.dates(), st.dates(), st.integers(0, 3000))
def test_evidence_never_counts_outside_of_its_days(begin: Any, end: Any, later: int) -> None:
    entry = {**ENTRY, "effective": begin.isoformat(), "valid_until": end.isoformat()}
    moment = DAY - timedelta(days=later)
    found, _faults = registered(requirements.load(), facts({}, {"p": entry}, moment))
    if "5.2.a" in found.current:
        assert begin <= moment.date() <= end


def site_with(folder: Path, name: str, text: str) -> Path:
    copy = Path(shutil.copytree(project_root() / "inventories/modele-gip", folder / "modele-gip"))
    (copy / name).write_text(text, "utf-8")
    return copy


EVIDENCE_FILE = (project_root() / "inventories/modele-gip/evidence/politique-de-securite.yml").read_text(
    "utf-8"
)
WAIVER_FILE = (
    project_root() / "inventories/modele-gip/derogations/2026-11-paquet-hors-debian.yml"
).read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("owner: anne.lefevre", "owner: nobody", "`nobody` is nobody of people.yml"),
        ("owner: anne.lefevre", "owner: elise.fontaine", "its owner signed it"),
        ("5.2.c", "5.2.z", "`5.2.z` is no requirement of SecNumCloud 3.2"),
        ("valid_until: 2027-08-31", "valid_until: 2026-08-31", "it ends before it begins"),
        ("file: documents/politique-de-securite.md", "file: ../../etc/passwd", "is not there"),
        ("sha256: ", "sha256: 0", "64"),
        ("file: documents/politique-de-securite.md\n", "", "a document is kept at one place"),
    ],
)
def test_wrong_evidence_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in EVIDENCE_FILE
    folder = site_with(tmp_path, "evidence/politique-de-securite.yml", EVIDENCE_FILE.replace(old, new))
    with pytest.raises(SiteErrors) as caught:
        load(folder)
    assert "politique-de-securite.yml:" in str(caught.value)
    assert said in str(caught.value)


def test_a_document_that_cannot_be_read_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site_with(tmp_path, "evidence/politique-de-securite.yml", EVIDENCE_FILE)
    opened = Path.open

    def refused(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.parent.name == "documents":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(SiteErrors, match=r"politique-de-securite.yml:4: `documents/.*` cannot be read: "):
        load(folder)


def test_a_document_that_was_changed_after_its_signature_is_told(tmp_path: Path) -> None:
    folder = site_with(tmp_path, "documents/politique-de-securite.md", "autre chose\n")
    with pytest.raises(SiteErrors, match="is not the document that was signed"):
        load(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("decided_by: elise.fontaine\n", "", "decided_by"),
        ("decided_by: elise.fontaine", "decided_by: anne.lefevre", "the owner of the waiver decided it"),
        ("end: 2027-11-01", "end: 2028-01-01", "write for example end: 2027-11-03"),
        ("rule: package-sources", "rule: ssh-root-logins", "no rule is `ssh-root-logins`"),
        ("applies_to: [sto1, sto2, sto3, sto4]", 'applies_to: ["*"]', "for everything"),
    ],
)
def test_a_wrong_waiver_file_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in WAIVER_FILE
    folder = site_with(tmp_path, "derogations/2026-11-paquet-hors-debian.yml", WAIVER_FILE.replace(old, new))
    with pytest.raises(SiteErrors) as caught:
        load(folder)
    assert "2026-11-paquet-hors-debian.yml:" in str(caught.value)
    assert said in str(caught.value)


def test_the_waivers_of_the_model_site_are_of_controls_that_may_be_waived() -> None:
    for name, waiver in load(project_root() / "inventories/modele-gip").waivers.items():
        assert controls.load()[waiver.rule].waivable, name


def keyring(folder: Path) -> tuple[Path, list[str]]:
    """A keyring of its own, and gpg on it: nobody is asked for a passphrase."""
    home = folder / "gpg"
    home.mkdir(mode=0o700)
    quiet = ("--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
    return home, ["gpg", "--homedir", str(home), *quiet]


def test_a_signature_is_verified_with_the_persons_own_key(tmp_path: Path) -> None:
    home, gpg = keyring(tmp_path)
    subprocess.run([*gpg, "--quick-gen-key", "elise", "ed25519/cert,sign+cv25519/encr"], check=True)
    key = subprocess.run([*gpg, "--export", "--armor"], check=True, capture_output=True, text=True).stdout
    folder = site_with(tmp_path, "documents/signed.txt", "texte signé\n")
    signed = folder / "documents/signed.txt"
    subprocess.run([*gpg, "--armor", "--detach-sign", str(signed)], check=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
    digest = hashlib.sha256(signed.read_bytes()).hexdigest()
    text = EVIDENCE_FILE.replace("documents/politique-de-securite.md", "documents/signed.txt")
    lines = [f"sha256: {digest}" if line.startswith("sha256") else line for line in text.splitlines()]
    entry = folder / "evidence/signed.yml"
    entry.write_text("\n".join([*lines, "signature: documents/signed.txt.asc", ""]), "utf-8")
    site = load(folder)
    person = site.people.people["elise.fontaine"]
    for owner, wanted in (
        (key, "valid"),
        (person.pgp_key, "invalid"),
        (None, "no pgp_key of elise.fontaine"),
    ):
        people = site.people.people | {"elise.fontaine": person.model_copy(update={"pgp_key": owner})}
        object.__setattr__(site, "people", site.people.model_copy(update={"people": people}))
        (_waivers, evidence) = COLLECTORS[0].read(site)
        assert evidence.value["signed"]["signature"].startswith(wanted)


@pytest.mark.parametrize(
    ("state", "wanted"), [("good", "valid"), ("revoked", "invalid"), ("expired", "invalid")]
)
def test_a_key_that_was_revoked_or_expired_proves_nothing(tmp_path: Path, state: str, wanted: str) -> None:
    home, gpg = keyring(tmp_path)
    (tmp_path / "document").write_text("texte\n", "utf-8")
    then = ["--faked-system-time", "20250601T000000"]
    subprocess.run([*gpg, *then, "--quick-gen-key", "e", "ed25519", "sign", "2035-01-01"], check=True)
    sign = ["--armor", "--detach-sign", "--output", str(tmp_path / "signature"), str(tmp_path / "document")]
    subprocess.run([*gpg, *then, *sign], check=True)
    (mark,) = (path.stem for path in (home / "openpgp-revocs.d").iterdir())
    if state == "expired":
        subprocess.run([*gpg, *then, "--quick-set-expire", mark, "2026-01-01"], check=True)
    if state == "revoked":
        told = (home / f"openpgp-revocs.d/{mark}.rev").read_text("utf-8").replace("\n:---", "\n---")
        subprocess.run([*gpg, "--import"], input=told, text=True, check=True)
    key = subprocess.run([*gpg, "--export", "--armor"], check=True, capture_output=True, text=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
    people = SimpleNamespace(people={"e": SimpleNamespace(pgp_key=key)})
    entry: Any = SimpleNamespace(signature="signature", file="document", signed_by="e")
    site: Any = SimpleNamespace(folder=tmp_path, people=people)
    assert signature(site, entry) == wanted
