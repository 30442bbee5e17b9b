"""Bundles of any form: what is not as it was signed is told in a line, and never proved."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import socle.cli.auditing  # noqa: F401 - its commands
from socle.audit import bundle, verify
from socle.cli.app import app
from tests.unit.openssl_notary import chain, checked, edited, signed_anew


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("audits")
    chain(place)
    return place


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """The bundle of a chain of one."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return bundle.bundles(tmp_path / "chain")[0]


def manifest(**changes: Any) -> Callable[[Path], None]:
    return lambda path: edited(path / verify.MANIFEST, **changes)


def text(name: str, content: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).write_text(content, "utf-8")

    return change


def link(name: str, target: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).unlink(missing_ok=True)
        (path / name).symlink_to(target)

    return change


def pipe(path: Path) -> None:
    (path / bundle.FACTS).unlink()
    os.mkfifo(path / bundle.FACTS)


def linked_bundle(path: Path) -> None:
    path.rename(path.parents[1] / "elsewhere")
    path.symlink_to(path.parents[1] / "elsewhere")


def said_twice(path: Path) -> None:
    told = (path / verify.MANIFEST).read_text("utf-8")
    (path / verify.MANIFEST).write_text(told.replace("{", '{"number": 1, ', 1), "utf-8")


FORMS: dict[str, Callable[[Path], None]] = {
    "no zone": manifest(moment="2026-11-30T10:00:00"),
    "no moment": manifest(moment=7),
    "the first moment": manifest(moment="0001-01-01T00:00:00+00:00"),
    "the last moment": manifest(moment="9999-12-31T23:59:59+00:00"),
    "files as a list": manifest(files=[["a", "b"]]),
    "files of numbers": manifest(files={"facts.json": 1}),
    "a file elsewhere": manifest(files={"../../audit.pub": ""}),
    "number without end": manifest(number=float("inf")),
    "number that is true": manifest(number=True),
    "number zero": manifest(number=0),
    "kind as a list": manifest(kind=[]),
    "half a character": manifest(site="\udc80"),
    "said twice": said_twice,
    "deep": text(verify.MANIFEST, "[" * 100_000),
    "deep facts": text(bundle.FACTS, "[" * 100_000),
    "no JSON": text(verify.MANIFEST, "x"),
    "a list": text(verify.MANIFEST, "[]"),
    "dangling link": link("note", "nowhere"),
    "dangling facts": link(bundle.FACTS, "nowhere"),
    "dangling manifest": link(verify.MANIFEST, "nowhere"),
    "folder by a link": link("annexes", "/etc"),
    "folder": lambda path: (path / "annexes").mkdir(),
    "pipe": pipe,
    "bundle by a link": linked_bundle,
    "no text": lambda path: (path / verify.TIMESTAMP).write_bytes(b"\xff\xfe"),
    "name of a file": lambda path: (path / "\x1b[2K\udc80").write_text(""),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_no_kit_writes_is_told(path: Path, form: str) -> None:
    place = path.parents[1]
    FORMS[form](path)
    found = checked(place)
    assert found.code == verify.WRONG
    assert "\x1b" not in "".join(found.lines())
    "".join(found.lines()).encode("utf-8")
    assert checked(place, key=None, tsa_ca=None).code == verify.WRONG


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "none", tmp_path / "file"):
        assert verify.verify(place, verify.Trust()).code == verify.WRONG


def test_a_key_that_is_not_there_proves_nothing_wrong(path: Path) -> None:
    assert checked(path.parents[1], key=path / "none.pub").code == verify.UNPROVED
    assert verify.verify(path, verify.Trust()).code == verify.UNPROVED


def malformed_waiver(path: Path) -> None:
    told = json.loads((path / bundle.FACTS).read_text("utf-8"))
    facts = [one for one in told["facts"] if one["name"] != "register.waivers"]
    waivers = {"name": "register.waivers", "subject": "lab", "value": {"w": {"rule": "x"}}, "problem": None}
    edited(path / bundle.FACTS, facts=[*facts, waivers])


@pytest.mark.parametrize(
    "change",
    [text(bundle.JUDGES, "{}"), text(bundle.JUDGES, "x"), text(bundle.JUDGES, "[]"), malformed_waiver],
)
def test_what_cannot_be_replayed_is_wrong_though_it_is_signed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    signed_anew(tmp_path, change)
    assert checked(tmp_path).code == verify.PROVED
    ended = replayed(tmp_path)
    assert ended.exit_code == verify.WRONG
    assert "ne se rejoue pas" in ended.output


def test_what_is_wrong_is_not_replayed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert replayed(path.parents[1]).exit_code == verify.PROVED
    (path / bundle.JUDGES).write_text("{}", "utf-8")
    monkeypatch.setattr(bundle, "rederived", lambda _path: pytest.fail("it was replayed"))
    ended = replayed(path.parents[1])
    assert ended.exit_code == verify.WRONG
    assert "rejou" not in ended.output


def replayed(place: Path) -> Any:
    trust = ["--key", str(place / "audit.pub"), "--tsa-ca", str(place / "tsa/ca.pem")]
    return CliRunner().invoke(app, ["audit", "verify", str(place / "chain"), "--rederive", *trust])


FILES = (*sorted(verify.CONTENTS), verify.MANIFEST, verify.SIGNATURE, verify.TIMESTAMP)
SAMPLE = 6
"""How often each file is changed in each manner: all of it lasts some seconds."""


def other_bytes(content: bytes, chance: random.Random) -> Iterator[bytes]:
    """The content with one byte that is another one, that is gone, or that is too many."""
    for _ in range(SAMPLE):
        at = chance.randrange(len(content))
        other = bytes([content[at] ^ chance.randrange(1, 256)])
        yield content[:at] + chance.choice((other, b"", other + content[at : at + 1])) + content[at + 1 :]
    yield content[:-1]
    yield content + b"\n"


def other_values(content: bytes, chance: random.Random) -> Iterator[bytes]:
    """The JSON with one value, somewhere in it, that is another one or is gone."""
    for _ in range(SAMPLE):
        told = place = json.loads(content)
        while True:
            key = chance.choice([*place] if isinstance(place, dict) else range(len(place)))
            if not place[key] or not isinstance(place[key], dict | list) or chance.random() < 0.2:
                break
            place = place[key]
        was, values = place[key], [None, True, -1, 1e400, "", "\udc80", [], {}, [[]], "conforme"]
        if chance.random() < 0.2:
            del place[key]
        else:
            place[key] = chance.choice([one for one in values if one != was or type(one) is not type(was)])
        yield json.dumps(told).encode()


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What openssl said of the same files before: it is most of the time that a sample takes."""
    known: dict[Any, tuple[bool, bytes]] = {}
    ask = verify._openssl

    def openssl(*words: str | Path, given: bytes = b"") -> tuple[bool, bytes]:
        told = tuple(
            word.read_bytes() if isinstance(word, Path) and word.is_file() else str(word) for word in words
        )
        if (told, given) not in known:
            known[told, given] = ask(*words, given=given)
        return known[told, given]

    monkeypatch.setattr(verify, "_openssl", openssl)


@pytest.mark.usefixtures("remembered")
def test_no_change_of_any_file_is_proved(path: Path) -> None:
    """A sample, the same every time.

    Nobody signs the envelope of a timestamp, nor the copy of its authority's certificate there, which is not
    what is trusted: a change of these may pass, with the same signed time.
    """
    chance, place = random.Random(32), path.parents[1]  # noqa: S311 - nothing is secret
    stamped = verify.stamped_at(path / verify.TIMESTAMP)
    for name in FILES:
        content = (path / name).read_bytes()
        changed = [*other_bytes(content, chance)]
        changed += [*other_values(content, chance)] if name.endswith(".json") else []
        for other in changed:
            (path / name).write_bytes(other)
            same_time = name == verify.TIMESTAMP and verify.stamped_at(path / name) == stamped
            assert checked(place).code == verify.WRONG or same_time, (name, other)
        (path / name).unlink()
        assert checked(place).code == verify.WRONG, name
        (path / name).write_bytes(content)
    assert checked(place).code == verify.PROVED
