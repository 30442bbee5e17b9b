"""Bundles: signed by a real OpenBao, dated, chained; each kind of tampering is found offline."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hvac
import pytest

from socle import signing
from socle.audit import bundle, timestamps, verify
from socle.audit.collect import audits
from socle.audit.evaluating import evaluate
from socle.audit.model import Facts
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.site import load
from socle.site.settings import Timestamps
from socle.vault.policies import text
from tests.unit.audit_golden import golden
from tests.unit.development_openbao import Development, running

LOCAL = Timestamps()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    with running(tmp_path_factory.mktemp("bao")) as made:
        made.root.sys.create_or_update_acl_policy("audit-signer", text(signing.rules(bundle.KEY)))
        yield made


@pytest.fixture(scope="module")
def chain(server: Development, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bundles, the signer's public key and the timestamps' authority beside them."""
    place = tmp_path_factory.mktemp("audits")
    ask = asker(server)
    notary = bundle.Notary(ask, lambda signature: timestamps.stamp(LOCAL, place / "tsa", signature))
    signing.make(bundle.KEY, ask)
    (place / "audit.pub").write_text(signing.public_key(bundle.KEY, ask))
    begin = datetime.now(UTC) - timedelta(seconds=3)
    for number in range(3):
        facts = at(begin + timedelta(seconds=number))
        bundle.write(place / "chain", facts, evaluate(facts), notary)
    return place


def at(moment: datetime) -> Facts:
    return golden("lab").model_copy(update={"started": moment, "ended": moment})


def asker(server: Development) -> signing.Ask:
    """OpenBao as the signer of audits, with that policy alone."""
    token = server.root.auth.token.create(policies=["audit-signer"], no_default_policy=True)
    signer = hvac.Client(url=server.url, verify=str(server.trust), token=token["auth"]["client_token"])

    def ask(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = signer.read(path) if method == "GET" else signer.write_data(path, data=body)
        return answer if isinstance(answer, dict) else {}

    return ask


@pytest.fixture
def copy(chain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chain, tmp_path / "copy"))


def checked(place: Path, **changes: Any) -> verify.Found:
    trust = {"key": place / "audit.pub", "tsa_ca": place / "tsa/ca.pem", **changes}
    return verify.verify(place / "chain", verify.Trust(**trust))


def manifests(place: Path) -> list[Path]:
    return sorted((place / "chain").glob("*/manifest.json"))


def test_the_next_audit_sees_whether_the_one_before_is_proved(copy: Path) -> None:
    site, path = load(project_root() / "inventories/lab"), manifests(copy)[-1].parent
    trust = verify.Trust(copy / "audit.pub", copy / "tsa/ca.pem")
    told = audits.kept(site, path, trust)
    assert (told["proved"], told["why"], told["unread"]) == (True, [], [])
    assert datetime.fromisoformat(told["date"]) == bundle.moment_of(path)
    unknown = audits.kept(site, path, verify.Trust(None, copy / "tsa/ca.pem"))
    assert unknown["proved"] is False
    text = (path / bundle.FACTS).read_text("utf-8")
    (path / bundle.FACTS).write_text(
        text.replace('"host.system","subject":"cmp1"', '"host.none","subject":"cmp1"')
    )
    told = audits.kept(site, path, trust)
    assert (told["proved"], told["unread"]) == (False, ["cmp1"])
    (path / bundle.FACTS).write_text("{", "utf-8")
    assert audits.kept(site, path, trust)["unread"] == sorted(site.hosts)


def test_a_chain_is_proved_by_the_script_alone(copy: Path) -> None:
    script = shutil.copy(verify.__file__, copy / "verify.py")
    words = [sys.executable, "-I", script, copy / "chain", "--key", copy / "audit.pub"]
    done = subprocess.run(
        [*words, "--tsa-ca", copy / "tsa/ca.pem"], capture_output=True, text=True, check=False
    )
    assert done.returncode == verify.PROVED, done.stdout
    assert "3 dossier(s) : prouvé" in done.stdout
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == verify.UNPROVED
    assert "NON PROUVÉ" in done.stdout


def test_nobody_is_told_proved_without_the_signers_key(copy: Path) -> None:
    assert checked(copy, key=None).code == verify.UNPROVED
    assert checked(copy, tsa_ca=None).code == verify.UNPROVED


def edit_facts(place: Path) -> None:
    path = manifests(place)[1].with_name("facts.json")
    path.write_text(path.read_text().replace('"site"', '"sitf"', 1))


def edit_verdicts_and_manifest(place: Path) -> None:
    manifest = manifests(place)[1]
    audit = manifest.with_name("audit.json")
    audit.write_text(audit.read_text().replace("non évalué", "conforme"))
    told = json.loads(manifest.read_text())
    told["files"]["audit.json"] = verify.sha256(audit)
    manifest.write_text(json.dumps(told))


def add_a_file(place: Path) -> None:
    manifests(place)[0].with_name("note.txt").write_text("conforme")


def drop_a_file(place: Path) -> None:
    manifests(place)[0].with_name("judges.json").unlink()


def drop_the_middle(place: Path) -> None:
    shutil.rmtree(manifests(place)[1].parent)


def drop_the_first(place: Path) -> None:
    shutil.rmtree(manifests(place)[0].parent)
    second, third = manifests(place)
    told = json.loads(second.read_text())
    second.write_text(json.dumps({**told, "number": 1, "previous": None}))
    assert third


def reorder(place: Path) -> None:
    first, second, _third = (path.parent for path in manifests(place))
    first.rename(place / "other")
    second.rename(first)
    (place / "other").rename(second)
    for path in manifests(place)[:2]:
        told = json.loads(path.read_text())
        path.write_text(json.dumps({**told, "number": 3 - told["number"]}))


def backdate(place: Path) -> None:
    manifest = manifests(place)[2]
    told = json.loads(manifest.read_text())
    told["moment"] = (datetime.fromisoformat(told["moment"]) - timedelta(days=40)).isoformat()
    manifest.write_text(json.dumps(told))


def timestamp_of_another(place: Path) -> None:
    first, second, _third = manifests(place)
    shutil.copy(first.with_name("timestamp.tsr"), second.with_name("timestamp.tsr"))


def no_timestamp(place: Path) -> None:
    manifests(place)[0].with_name("timestamp.tsr").unlink()


def no_signature(place: Path) -> None:
    manifests(place)[0].with_name("manifest.sig").unlink()


@pytest.mark.parametrize(
    "tamper",
    [
        edit_facts,
        edit_verdicts_and_manifest,
        add_a_file,
        drop_a_file,
        drop_the_middle,
        drop_the_first,
        reorder,
        backdate,
        timestamp_of_another,
        no_timestamp,
        no_signature,
    ],
)
def test_tampering_is_found(copy: Path, tamper: Callable[[Path], None]) -> None:
    assert checked(copy).code == verify.PROVED
    tamper(copy)
    assert checked(copy).code == verify.WRONG


def forged(place: Path, begin: datetime, count: int) -> Path:
    """A chain that somebody else makes, with a key and an authority of their own; its folder."""
    key = place / "forger.key"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", key)
    openssl("pkey", "-in", key, "-pubout", "-out", place / "forger.pub")

    def ask(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if method == "GET":
            return {
                "data": {
                    "latest_version": 1,
                    "keys": {"1": {"public_key": (place / "forger.pub").read_text()}},
                }
            }
        if "sign" not in path:
            return {}
        (place / "digest").write_bytes(base64.b64decode(body["input"]))
        words = ["pkeyutl", "-sign", "-inkey", key, "-in", place / "digest", "-pkeyopt", "digest:sha384"]
        signature = subprocess.run(["openssl", *words], capture_output=True, check=True).stdout
        return {"data": {"signature": "vault:v1:" + base64.b64encode(signature).decode()}}

    notary = bundle.Notary(ask, lambda signature: timestamps.stamp(LOCAL, place / "tsa", signature))
    for number in range(count):
        facts = at(begin + timedelta(seconds=number))
        bundle.write(place / "forged", facts, evaluate(facts), notary)
    return place / "forged"


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], capture_output=True, check=True)


def test_a_replaced_signer_and_a_swapped_chain_are_found(copy: Path) -> None:
    head = checked(copy).head
    begin = datetime.fromisoformat(json.loads(manifests(copy)[0].read_text())["moment"])
    other = forged(copy, begin, 3)
    shutil.rmtree(copy / "chain")
    other.rename(copy / "chain")
    assert checked(copy).code == verify.WRONG  # the auditor's key is not the forger's
    assert checked(copy, key=copy / "forger.pub").code == verify.PROVED  # who trusts the forger is not helped
    assert (
        checked(copy, key=copy / "forger.pub", head=head).code == verify.WRONG
    )  # but the head was seen before


def test_a_chain_that_lost_its_end_is_found_by_the_head_that_was_seen(copy: Path) -> None:
    head = checked(copy).head
    shutil.rmtree(manifests(copy)[2].parent)
    assert checked(copy).code == verify.PROVED
    assert checked(copy, head=head).code == verify.WRONG


def test_facts_that_are_read_long_before_they_are_dated_are_told(server: Development, tmp_path: Path) -> None:
    notary = bundle.Notary(
        asker(server), lambda signature: timestamps.stamp(LOCAL, tmp_path / "tsa", signature)
    )
    facts = at(datetime.now(UTC) - timedelta(days=30))
    bundle.write(tmp_path / "chain", facts, evaluate(facts), notary)
    (tmp_path / "audit.pub").write_text(signing.public_key(bundle.KEY, asker(server)))
    assert any("horodaté" in fault for fault in checked(tmp_path).faults)


def test_rules_are_replayed_on_the_facts(copy: Path) -> None:
    last = manifests(copy)[2].parent
    assert bundle.rederived(last) == []
    audit = last / "audit.json"
    told = json.loads(audit.read_text())
    was = told["judgements"][0]["status"]
    told["judgements"][0]["status"] = "conforme" if was == "non évalué" else "non évalué"
    audit.write_text(json.dumps(told))
    assert bundle.rederived(last)


def test_when_openbao_is_sealed_nothing_is_written(tmp_path: Path) -> None:
    def sealed(_method: str, _path: str, _body: dict[str, Any]) -> dict[str, Any]:
        raise SocleError("refused: Vault is sealed", exit_code=ExitCode.UNREACHABLE)

    facts = at(datetime.now(UTC))
    with pytest.raises(SocleError, match="sealed"):
        bundle.write(tmp_path / "chain", facts, evaluate(facts), bundle.Notary(sealed, lambda _path: b""))
    assert [path.name for path in (tmp_path / "chain").iterdir()] == [".lock"]


def test_what_a_killed_run_left_is_no_bundle_and_goes_with_the_next(copy: Path, server: Development) -> None:
    draft = copy / "chain/.draft-00004-20260101T000000Z-live"
    shutil.copytree(manifests(copy)[2].parent, draft)
    assert checked(copy).code == verify.PROVED
    notary = bundle.Notary(asker(server), lambda signature: timestamps.stamp(LOCAL, copy / "tsa", signature))
    facts = at(datetime.now(UTC))
    bundle.write(copy / "chain", facts, evaluate(facts), notary)
    assert not draft.exists()
    assert checked(copy).code == verify.PROVED


def test_facts_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    for content, said in (
        ('{"schema_version": 2}', "version 2"),
        ("[]", "are no facts"),
        ("{}", "version None"),
        ('{"schema_version": 1}', "are no facts"),
    ):
        path.write_text(content)
        with pytest.raises(SocleError, match=said):
            bundle.read_facts(path)
