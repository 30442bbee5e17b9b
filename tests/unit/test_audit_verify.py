"""What a bundle may not hold: unsigned times, parts of other audits, forms that no reader expects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from socle.audit import bundle, timestamps, verify
from socle.audit.evaluating import evaluate
from socle.audit.model import Audit, Fact, Status
from socle.errors import SocleError
from socle.site.settings import Timestamps
from tests.unit.audit_golden import one_pass
from tests.unit.openssl_notary import at, audit_with, chain, checked, edited, notary, openssl, signed_anew


def greeted(reply: Path, text: str) -> bytes:
    """A reply of the same token, whose status says something: nobody signs that."""
    token = openssl("ts", "-reply", "-in", reply, "-token_out")
    status = tlv(0x30, tlv(0x02, b"\0") + tlv(0x30, tlv(0x0C, text.encode())))
    return tlv(0x30, status + token)


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2)
    return bytes([tag]) + length + content


def test_a_time_that_nobody_signed_does_not_date_a_bundle(tmp_path: Path) -> None:
    month = datetime.now(UTC) - timedelta(days=30)
    facts = at(month)
    path = bundle.write(tmp_path / "chain", facts, evaluate(facts), notary(tmp_path))
    assert checked(tmp_path).code == verify.WRONG
    reply = path / "timestamp.tsr"
    reply.write_bytes(greeted(reply, f"granted\nTime stamp: {month:%b %d %H:%M:%S %Y} GMT"))
    assert checked(tmp_path).code == verify.WRONG
    assert checked(tmp_path, tsa_ca=None).code == verify.WRONG


def test_a_reply_that_says_more_than_its_token_is_refused(tmp_path: Path) -> None:
    reply = chain(tmp_path)[0] / "timestamp.tsr"
    assert checked(tmp_path).code == verify.PROVED
    reply.write_bytes(greeted(reply, "granted"))
    assert verify.stamped_at(reply) is None
    assert checked(tmp_path).code == verify.WRONG


def test_the_bundle_after_it_holds_a_timestamp_to_its_last_byte(tmp_path: Path) -> None:
    first, _second = chain(tmp_path, 2)
    reply = first / "timestamp.tsr"
    whole = reply.read_bytes()
    unsigned = [place for place in range(0, len(whole), 40) if not _found(reply, whole, place)]
    assert unsigned == []
    reply.write_bytes(whole)
    assert checked(tmp_path).code == verify.PROVED


def _found(reply: Path, whole: bytes, place: int) -> bool:
    reply.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    return checked(reply.parent.parent.parent).code == verify.WRONG


def test_a_chain_begins_after_nothing(tmp_path: Path) -> None:
    def begun(folder: Path) -> None:
        edited(folder / verify.MANIFEST, previous_timestamp="0" * 64)

    signed_anew(tmp_path, begun)
    assert any("début de chaîne incohérent" in fault for fault in checked(tmp_path).faults)


def test_nothing_follows_a_bundle_whose_timestamp_is_gone(tmp_path: Path) -> None:
    (chain(tmp_path)[0] / "timestamp.tsr").unlink()
    with pytest.raises(SocleError, match="the timestamp is gone"):
        chain(tmp_path)


def test_the_greeting_of_an_authority_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = tmp_path / "manifest.sig"
    signature.write_bytes(b"signature")
    plain = timestamps.stamp(Timestamps(), tmp_path / "tsa", signature)
    (tmp_path / "reply").write_bytes(plain)
    answer = greeted(tmp_path / "reply", "Operation Okay")
    monkeypatch.setattr(timestamps, "_asked", lambda _url, _query: answer)
    asked = Timestamps(url="https://tsa.example.org", ca_file="tsa.pem")
    assert timestamps.stamp(asked, tmp_path / "tsa", signature) == plain
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.sig", "reply", "tsa"}


def test_a_bundle_outlives_the_certificate_of_its_authority(tmp_path: Path) -> None:
    """A certificate of one day that ended: openssl signs with it nevertheless, as it did on that day."""
    made, begin = notary(tmp_path), datetime.now(UTC) - timedelta(days=3)
    signature, authority = tmp_path / "manifest.sig", tmp_path / "tsa/ca.pem"
    signature.write_bytes(b"signature")
    made.stamp(signature)
    short_lived(tmp_path / "tsa", begin)
    reply = tmp_path / "timestamp.tsr"
    reply.write_bytes(made.stamp(signature))
    assert not verify._stamped_by(authority, tmp_path, datetime.now(UTC))
    assert verify._stamped_by(authority, tmp_path, begin + timedelta(hours=1))
    assert not verify._stamped_by(authority, tmp_path, begin - timedelta(hours=1))


def short_lived(folder: Path, begin: datetime) -> None:
    """Replace the certificates of a local authority: that of its signer runs for a day."""

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def certificate(subject: str, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(name("A"), name(subject), key, x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=days))
            .add_extension(x509.BasicConstraints(subject == "A", None), critical=True)
        )

    own, key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    stamping = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.TIME_STAMPING])
    of_signer = certificate("T", key.public_key(), 1).add_extension(stamping, critical=True)
    for file, made in (("ca.pem", certificate("A", own.public_key(), 3650)), ("tsa.pem", of_signer)):
        pem = made.sign(own, hashes.SHA384()).public_bytes(serialization.Encoding.PEM)
        (folder / file).write_bytes(pem)
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "tsa.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


def facts_of_another_site(folder: Path) -> None:
    edited(folder / bundle.FACTS, site="ailleurs")


def old_facts(folder: Path) -> None:
    edited(folder / bundle.FACTS, ended="2026-01-01T00:00:00Z")


def verdicts_of_another_kind(folder: Path) -> None:
    edited(folder / bundle.AUDIT, kind="static")


def old_verdicts(folder: Path) -> None:
    edited(folder / bundle.AUDIT, moment="2026-01-01T00:00:00Z")


def a_control_twice(folder: Path) -> None:
    def change(audit: Audit) -> Audit:
        first, *rest = audit.judgements
        green = first.model_copy(update={"status": Status.CONFORME, "findings": (), "reason": None})
        return audit.model_copy(update={"judgements": (green, first, *rest)})

    audit_with(folder, change)


def no_requirement(folder: Path) -> None:
    edited(folder / bundle.AUDIT, verdicts=None)


def another_file(folder: Path) -> None:
    (folder / "note.txt").write_text("conforme")
    edited(folder / verify.MANIFEST, files=dict.fromkeys((*verify.CONTENTS, "note.txt"), ""))


def a_file_less(folder: Path) -> None:
    (folder / bundle.JUDGES).unlink()
    edited(folder / verify.MANIFEST, files=dict.fromkeys(verify.CONTENTS - {bundle.JUDGES}, ""))


@pytest.mark.parametrize(
    "change",
    [
        facts_of_another_site,
        old_facts,
        verdicts_of_another_kind,
        old_verdicts,
        a_control_twice,
        no_requirement,
        another_file,
        a_file_less,
    ],
)
def test_parts_of_another_audit_are_found_though_they_are_signed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    signed_anew(tmp_path, change)
    found = checked(tmp_path)
    assert found.code == verify.WRONG
    assert not any("signature" in fault or "horodat" in fault for fault in found.faults)


def test_a_chain_of_two_sites_is_no_chain(tmp_path: Path) -> None:
    made = notary(tmp_path)
    for name in ("lab", "ailleurs"):
        facts = at(datetime.now(UTC)).model_copy(update={"site": name})
        bundle.write(tmp_path / "chain", facts, evaluate(facts), made)
    assert any("d’un autre site" in fault for fault in checked(tmp_path).faults)


def emptied(audit: Audit) -> Audit:
    told = [one.model_copy(update={"findings": (), "read": 99}) for one in audit.judgements]
    return audit.model_copy(update={"judgements": tuple(told)})


def invented(audit: Audit) -> Audit:
    told = [one.model_copy(update={"evidence": ("attestation signée",)}) for one in audit.verdicts]
    return audit.model_copy(update={"verdicts": tuple(told)})


def unlimited(audit: Audit) -> Audit:
    return audit.model_copy(update={"limits": ()})


def turned(audit: Audit) -> Audit:
    return audit.model_copy(update={"judgements": audit.judgements[::-1]})


@pytest.mark.parametrize("change", [emptied, invented, unlimited, turned])
def test_all_that_is_said_is_replayed_not_only_how_it_ends(
    tmp_path: Path, change: Callable[[Audit], Audit]
) -> None:
    path = chain(tmp_path)[0]
    assert bundle.same_judges(path)
    assert bundle.rederived(path) == []
    audit_with(path, change)
    assert bundle.rederived(path)


def test_facts_are_judged_as_a_bundle_keeps_them() -> None:
    """A reading of no form of JSON is another one when it is read again."""
    facts = one_pass([Fact(name="host.system", subject="ctl1", value={"ports": (22, 443), 1: "one"})])
    assert facts.frozen().facts[0].value == {"ports": [22, 443], "1": "one"}
    assert facts.frozen().frozen() == facts.frozen()
