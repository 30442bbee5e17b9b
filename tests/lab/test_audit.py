"""The audit of the lab as an auditor does it: the guide, the chain without the kit, no secret in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from socle.audit import bundle, controls, notary, verify
from socle.audit.model import Status
from socle.cli.auditing import AuditExit
from socle.paths import project_root
from tests.lab.deployed import Lab
from tests.lab.test_leaks import of_services

pytestmark = pytest.mark.lab

GUIDE = project_root() / "docs/auditor"
JUDGED = {AuditExit.NON_CONFORME, AuditExit.NOT_EVALUATED, AuditExit.CONFORME, AuditExit.WRONG_REGISTER}


def commands() -> list[list[str]]:
    """The lines of the guide's blocks, page by page."""
    pages = [GUIDE / "README.md", GUIDE / "verifier-hors-ligne.md"]
    blocks = [re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.M | re.S) for page in pages]
    lines = [line.split() for page in blocks for block in page for line in block.strip().splitlines()]
    assert all(words[0] == "socle" for words in lines)
    return [words[1:] for words in lines]


def test_the_guides_commands_end_as_they_say(lab: Lab, tmp_path: Path) -> None:
    seen = set()
    for words in commands():
        given = [str(tmp_path / "rapport") if word == "rapport/" else word for word in words]
        done = lab.socle(*given, check=False)
        allowed = {0}
        if words[1] in {"static", "live"}:
            allowed = {int(code) for code in JUDGED}
        elif words[1] == "coverage":
            allowed = {holes(lab)}
        elif "--rederive" in words:  # audits of another version may be in the lab's chain
            allowed = {verify.PROVED, verify.UNPROVED}
        assert done.returncode in allowed, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        seen.add(words[1])
    assert seen == {"static", "live", "report", "verify", "coverage"}
    assert {path.name for path in (tmp_path / "rapport").iterdir()} == {"rapport.html", "grille.ods"}


def holes(lab: Lab) -> int:
    """How coverage must end: with 1 as long as a requirement is left out."""
    told = json.loads(lab.socle("audit", "coverage", "--json", check=False).stdout)
    assert told["holes"] == sum(one["hole"] is not None for one in told["requirements"])
    return 1 if told["holes"] else 0


@pytest.fixture(scope="module")
def latest(lab: Lab) -> Path:
    """The newest bundle of the lab."""
    chain = bundle.bundles(notary.chain_of(lab.site))
    if not chain:
        lab.socle("audit", "live", check=False)
        chain = bundle.bundles(notary.chain_of(lab.site))
    return chain[-1]


def test_the_chain_is_proved_by_python_and_openssl_alone(lab: Lab, latest: Path) -> None:
    key, authority = notary.signer_key(lab.site), notary.authority_of(lab.site)
    words = [
        sys.executable,
        "-I",
        verify.__file__,
        str(latest.parent),
        "--key",
        str(key),
        "--tsa-ca",
        str(authority),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == verify.PROVED, done.stdout


def test_what_was_read_is_most_of_what_had_to_be_read(latest: Path) -> None:
    facts, audit = bundle.read(latest)
    unread = sorted({f"{fact.name} {fact.subject}: {fact.problem}" for fact in facts.facts if fact.problem})
    print("\n".join(unread))  # noqa: T201 - what the lab does not show
    green = [j for j in audit.judgements if j.status is Status.CONFORME]
    assert len(green) > len(audit.judgements) / 2, json.dumps([j.model_dump() for j in audit.judgements])
    assert all(judgement.read for judgement in green)


def test_every_failure_on_the_lab_is_one_that_the_guide_explains(latest: Path) -> None:
    explained = set(re.findall(r"^\| `([a-z0-9-]+)` \|", (GUIDE / "laboratoire.md").read_text("utf-8"), re.M))
    assert explained <= set(controls.load())
    _facts, audit = bundle.read(latest)
    failed = {j.control: j for j in audit.judgements if j.status is Status.NON_CONFORME}
    unexplained = [failed[name].model_dump_json(indent=1) for name in sorted(failed.keys() - explained)]
    assert not unexplained, "\n".join(unexplained)


def test_no_secret_is_in_the_evidence(lab: Lab, latest: Path) -> None:
    text = "".join(path.read_text("utf-8") for path in latest.glob("*.json"))
    secrets = [value for value in of_services(lab) if len(value) > 12]
    assert len(secrets) > 20
    assert not [value[:3] for value in secrets if value in text]
