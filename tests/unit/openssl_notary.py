"""Chains of audits that openssl signs, without an OpenBao: made in less than a second."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from socle import signing
from socle.audit import bundle, timestamps, verify
from socle.audit.evaluating import evaluate
from socle.audit.model import Audit, Facts
from socle.site.settings import Timestamps
from tests.unit.audit_golden import golden


def openssl(*words: str | Path) -> bytes:
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, check=True).stdout


def signer(place: Path) -> signing.Ask:
    """Who answers as OpenBao's transit does, with a key in a folder and ``audit.pub`` beside it."""
    key, public = place / "audit.key", place / "audit.pub"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", key)
    openssl("pkey", "-in", key, "-pubout", "-out", public)

    def ask(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if method == "GET":
            return {"data": {"latest_version": 1, "keys": {"1": {"public_key": public.read_text()}}}}
        if "sign" not in path:
            return {}
        (place / "digest").write_bytes(base64.b64decode(body["input"]))
        words = ["pkeyutl", "-sign", "-inkey", key, "-in", place / "digest", "-pkeyopt", "digest:sha384"]
        return {"data": {"signature": "vault:v1:" + base64.b64encode(openssl(*words)).decode()}}

    return ask


def notary(place: Path) -> bundle.Notary:
    return bundle.Notary(
        signer(place), lambda signature: timestamps.stamp(Timestamps(), place / "tsa", signature)
    )


def at(moment: datetime) -> Facts:
    return golden("lab").model_copy(update={"started": moment, "ended": moment})


def now() -> Facts:
    return at(datetime.now(UTC))


def chain(place: Path, count: int = 1) -> list[Path]:
    """Bundles of one second after another, in ``chain``; with ``audit.pub`` and ``tsa`` beside it."""
    begin, made = datetime.now(UTC) - timedelta(seconds=count), notary(place)
    told = [at(begin + timedelta(seconds=number)) for number in range(count)]
    return [bundle.write(place / "chain", facts, evaluate(facts), made) for facts in told]


def checked(place: Path, **changes: Any) -> verify.Found:
    trust = {"key": place / "audit.pub", "tsa_ca": place / "tsa/ca.pem", **changes}
    return verify.verify(place / "chain", verify.Trust(**trust))


def signed_anew(place: Path, change: Callable[[Path], None]) -> Path:
    """One bundle that its own signer signed after somebody changed what is in it."""
    facts, made = now(), notary(place)

    def altered(signature: Path) -> bytes:
        folder = signature.parent
        change(folder)
        told = json.loads((folder / verify.MANIFEST).read_text("utf-8"))
        told["files"] = {name: verify.sha256(folder / name) for name in told["files"]}
        (folder / verify.MANIFEST).write_text(json.dumps(told), "utf-8")
        signature.write_bytes(signing.sign(bundle.KEY, (folder / verify.MANIFEST).read_bytes(), made.ask))
        return made.stamp(signature)

    return bundle.write(place / "chain", facts, evaluate(facts), bundle.Notary(made.ask, altered))


def edited(path: Path, **changes: Any) -> None:
    """Replace values at the top of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def audit_with(path: Path, change: Callable[[Audit], Audit]) -> None:
    """Replace the verdicts of a bundle."""
    told = change(bundle.read_audit(path))
    (path / bundle.AUDIT).write_text(told.model_dump_json(), "utf-8")
