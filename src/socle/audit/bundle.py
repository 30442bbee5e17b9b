"""Freeze an audit into a bundle: facts, verdicts and what judged them, chained, signed and timestamped.

A bundle is a folder of the site's state, made whole or not at all: it is written under a name with a dot,
signed, timestamped, put on disk and renamed. ``verify.py`` beside this file says what each part is, and
verifies it without the kit.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from socle import __version__, durable, signing
from socle.audit import controls, requirements
from socle.audit.evaluating import evaluate
from socle.audit.model import Audit, Facts
from socle.audit.verify import (
    AUDIT,
    FACTS,
    JUDGES,
    MANIFEST,
    SCHEMA,
    SIGNATURE,
    SIGNER,
    TIMESTAMP,
    sha256,
)
from socle.errors import ExitCode, SocleError
from socle.paths import project_root

KEY: Final = signing.AUDIT
RULES: Final = ("evaluating.py", "judging.py", "model.py", "register.py", "verdicts.py", "rules/**/*.py")
"""What judges beside the controls and requirements, in this package."""

UNREPLAYED: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the registers of facts of an unexpected form raise; rules know such readings by themselves."""

type Stamp = Callable[[Path], bytes]


@dataclass(frozen=True)
class Notary:
    """Who makes a bundle worth something: OpenBao signs, an authority dates."""

    ask: signing.Ask
    stamp: Stamp


class _Link(NamedTuple):
    """Place of a bundle in its chain: its number, and the digests of the one before it."""

    number: int
    previous: str | None
    """Of its manifest."""
    previous_timestamp: str | None


def write(folder: Path, facts: Facts, audit: Audit, notary: Notary) -> Path:
    """Add a bundle to the chain in a folder; its place.

    Raises:
        SocleError: OpenBao signs nothing (exit code 6 when it is sealed), no timestamp is to be had, or the
            chain that is there cannot be read. Nothing is left behind then.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(folder):
        for left in folder.glob(".draft-*"):
            shutil.rmtree(left)  # of a run that was killed
        link = _end(folder)
        name = f"{link.number:05}-{facts.ended:%Y%m%dT%H%M%SZ}-{facts.kind}"
        draft = folder / f".draft-{name}"
        draft.mkdir(mode=0o700)
        try:
            _fill(draft, facts, audit, link, notary)
        except BaseException:
            shutil.rmtree(draft)
            raise
        draft.rename(folder / name)
        durable.sync_folder(folder)
    return folder / name


def read(bundle: Path) -> tuple[Facts, Audit]:
    """What a bundle holds.

    Raises:
        SocleError: it is no bundle, or its facts are of another version of the form.
    """
    return read_facts(bundle / FACTS), read_audit(bundle)


def read_audit(bundle: Path) -> Audit:
    """The verdicts of a bundle.

    Raises:
        SocleError: it is no bundle of this version of the kit.
    """
    try:
        return Audit.model_validate_json(_content(bundle / AUDIT))
    except ValueError as error:
        raise SocleError(
            "are no verdicts of this version", where=str(bundle / AUDIT), write="use the kit that made it"
        ) from error


def read_facts(path: Path) -> Facts:
    """Facts of a file that ``socle audit … --facts`` wrote, or of a bundle.

    Raises:
        SocleError: they are not facts, or of another version of the form.
    """
    text = _content(path)
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, AttributeError) as error:
        raise SocleError("are no facts", where=str(path), expected="a file of `--facts`") from error
    if version != SCHEMA:
        raise SocleError(
            f"facts of version {version}",
            where=str(path),
            expected=f"version {SCHEMA}",
            write="judge them with the kit that collected them, or collect again",
        )
    try:
        return Facts.model_validate_json(text)
    except ValueError as error:
        raise SocleError("are no facts", where=str(path), expected="a file of `--facts`") from error


def same_judges(bundle: Path) -> bool:
    """Whether the controls and rules of this version of the kit are those that judged a bundle."""
    return bool(json.loads(_content(bundle / JUDGES))["sha256"] == _judges()["sha256"])


def rederived(bundle: Path) -> list[str]:
    """What the rules say otherwise of a bundle's facts, in French; nothing when all is the same.

    Only with the judges of the bundle, see ``same_judges``.

    Raises:
        SocleError: as ``read``.
    """
    facts, told = read(bundle)
    again = evaluate(facts)
    before, now = _parts(told), _parts(again)
    lines = [
        f"{name} : {_short(before.get(name))} au dossier, {_short(now.get(name))} en rejouant"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    return lines or (["verdicts dans un autre ordre, ou plus d’une fois"] if told != again else [])


def replayed(bundle: Path) -> list[str] | None:
    """As ``rederived``, of a bundle that may hold anything; None when other controls or rules judged it."""
    try:
        return rederived(bundle) if same_judges(bundle) else None
    except (SocleError, *UNREPLAYED) as error:
        return [f"ne se rejoue pas ({type(error).__name__})"]


def _parts(audit: Audit) -> dict[str, Any]:
    """All that an audit says, by the name of what it is said of."""
    told = audit.model_dump(mode="json")
    judged = {one["control"]: one for one in told.pop("judgements")}
    return told | judged | {one["requirement"]: one for one in told.pop("verdicts")}


def _short(told: Any) -> str:
    """One part in a line: its status first, so that who reads knows what it is about."""
    if told is None:
        return "absent"
    if not isinstance(told, dict):
        return json.dumps(told, ensure_ascii=False)
    rest = {key: value for key, value in told.items() if value and key not in {"control", "requirement"}}
    return f"{rest.pop('status')} {json.dumps(rest, ensure_ascii=False)}"


def _fill(draft: Path, facts: Facts, audit: Audit, link: _Link, notary: Notary) -> None:
    (draft / FACTS).write_text(facts.model_dump_json() + "\n", encoding="utf-8")
    (draft / AUDIT).write_text(audit.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (draft / JUDGES).write_text(json.dumps(_judges(), indent=1) + "\n", encoding="utf-8")
    (draft / SIGNER).write_text(signing.public_key(KEY, notary.ask), encoding="utf-8")
    manifest = {
        "schema": SCHEMA,
        **link._asdict(),
        "site": facts.site,
        "kind": facts.kind,
        "moment": facts.ended.isoformat(),
        "files": {path.name: sha256(path) for path in sorted(draft.iterdir())},
    }
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (draft / SIGNATURE).write_bytes(signing.sign(KEY, (draft / MANIFEST).read_bytes(), notary.ask))
    (draft / TIMESTAMP).write_bytes(notary.stamp(draft / SIGNATURE))
    for path in draft.iterdir():
        durable.sync_file(path)


def _judges() -> dict[str, Any]:
    """What judged: version, commit, lock, and a digest of all controls, requirements and rules."""
    root = project_root()
    judged: dict[str, dict[str, Any]] = {
        "controls": {name: c.model_dump(mode="json") for name, c in controls.load().items()},
        "requirements": {name: r.model_dump(mode="json") for name, r in requirements.load().items()},
        "rules": _rules(),
    }
    text = json.dumps(judged, sort_keys=True, ensure_ascii=False)
    lock = root / "requirements.lock"
    return {
        "tool": __version__,
        "commit": commit(root),
        "lock_sha256": sha256(lock) if lock.is_file() else None,
        "controls": len(judged["controls"]),
        "requirements": len(judged["requirements"]),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _rules() -> dict[str, str]:
    """The SHA-256 of each file of code that judges."""
    here = Path(__file__).parent
    found = {path for pattern in RULES for path in here.glob(pattern)}
    return {str(path.relative_to(here)): sha256(path) for path in sorted(found)}


def commit(root: Path) -> str | None:
    """The commit that is checked out, with a ``+`` when there are changes; None outside of a checkout."""
    done = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None if done.returncode == 0 else None


def bundles(folder: Path) -> list[Path]:
    """The bundles of a chain, oldest first."""
    return sorted(path.parent for path in folder.glob(f"[0-9]*/{MANIFEST}"))


def _end(folder: Path) -> _Link:
    """Where the next bundle hangs."""
    there = bundles(folder)
    if not there:
        return _Link(1, None, None)
    last = there[-1]
    if not (last / TIMESTAMP).is_file():
        raise SocleError(
            "the timestamp is gone", where=str(last / TIMESTAMP), write="restore it from a backup"
        )
    return _Link(_manifest(last, "number", int) + 1, sha256(last / MANIFEST), sha256(last / TIMESTAMP))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One run at a time adds to a chain; the lock goes with the process."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SocleError(
                "another audit is being signed", where=str(folder), exit_code=ExitCode.LOCKED
            ) from error
        yield


def _content(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SocleError("cannot be read", where=str(path), expected="a bundle of `socle audit`") from error


def moment_of(bundle: Path) -> datetime:
    """When its facts were read.

    Raises:
        SocleError: its manifest cannot be read.
    """
    return _manifest(bundle, "moment", datetime.fromisoformat)


def kind_of(bundle: Path) -> str:
    """How its facts were read: ``static`` or ``live``.

    Raises:
        SocleError: its manifest cannot be read.
    """
    return _manifest(bundle, "kind", str)


def _manifest[T](bundle: Path, name: str, form: Callable[[Any], T]) -> T:
    try:
        return form(json.loads(_content(bundle / MANIFEST))[name])
    except (ValueError, KeyError, TypeError) as error:
        raise SocleError(
            "the manifest cannot be read", where=str(bundle / MANIFEST), write="restore it from a backup"
        ) from error
