"""What a bundle may not hold: unsigned times, parts of other audits, forms that no reader expects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from socle.audit import bundle, timestamps, verify
from socle.audit.evaluating import evaluate
from socle.site.settings import Timestamps
from tests.unit.openssl_notary import at, chain, checked, notary, openssl


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
