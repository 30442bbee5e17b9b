#!/usr/bin/env python3
"""Verify the bundles of audits offline, with Python's standard library and openssl alone.

    python3 verify.py FOLDER --key audit.pub [--tsa-ca tsa-ca.pem] [--head SHA256]

FOLDER holds bundles, or is one. Each is a folder with ``manifest.json``, its signature ``manifest.sig``
(ECDSA P-384 over SHA-384, DER), its timestamp ``timestamp.tsr`` (RFC 3161) and four files that the manifest
names with their SHA-256. Facts and verdicts have the manifest's site, kind and moment. Each manifest holds
its number and the SHA-256 of the manifest and of the timestamp before it.

Exit codes: 0 all of it is proved; 1 something is wrong; 3 nothing is wrong, but something could not be
proved, because the key of the signer or the authority of the timestamps was not given.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unicodedata import category

MANIFEST, SIGNATURE, TIMESTAMP = "manifest.json", "manifest.sig", "timestamp.tsr"
PROOFS = {MANIFEST, SIGNATURE, TIMESTAMP}
FACTS, AUDIT, JUDGES, SIGNER = "facts.json", "audit.json", "judges.json", "signer.pub"
CONTENTS = {FACTS, AUDIT, JUDGES, SIGNER}
MOMENTS = {FACTS: "ended", AUDIT: "moment"}
"""What the manifest's moment is called there."""
SCHEMA = 1
LATEST_TIMESTAMP = timedelta(hours=1)
"""Of the moment that the manifest tells: when it comes later, the moment was written back."""
CLOCKS = timedelta(minutes=5)
"""How far two clocks may be apart."""
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Categories of characters that have no shape, but may move a cursor, turn the direction or end a line."""
NOT_GIVEN = "les précédents ne sont pas là"
PROVED, WRONG, UNPROVED = 0, 1, 3


@dataclass
class Found:
    """What a verification found, in French, one line each."""

    faults: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    bundles: list[str] = field(default_factory=list)
    sound: list[str] = field(default_factory=list)
    """Bundles in which nothing is wrong by themselves."""
    head: str = ""

    @property
    def code(self) -> int:
        """Exit code."""
        if self.faults or not self.bundles:
            return WRONG
        return UNPROVED if self.unproved else PROVED

    @property
    def unproved_itself(self) -> list[str]:
        """What is unproved of the bundles that were given, beside those before them that were not."""
        return [line for line in self.unproved if not line.endswith(NOT_GIVEN)]

    def lines(self) -> list[str]:
        """What a person reads, in French."""
        words = {PROVED: "prouvé", WRONG: "FAUX", UNPROVED: "non prouvé"}
        end = (
            f"{len(self.bundles)} dossier(s) : {words[self.code]} ; dernier manifeste {self.head or 'aucun'}"
        )
        told = [f"FAUX        {fault}" for fault in self.faults]
        return [*told, *(f"NON PROUVÉ  {line}" for line in self.unproved), end]


@dataclass(frozen=True)
class Trust:
    """What the auditor brings: the signer's public key, the timestamps' authority, a manifest seen before."""

    key: Path | None = None
    tsa_ca: Path | None = None
    head: str | None = None


def verify(folder: Path, trust: Trust) -> Found:
    """Verify one bundle, or a folder of them as a chain."""
    folder = Path(os.path.realpath(folder))
    try:
        if (folder / MANIFEST).is_file():
            return verify_all([folder], trust)
        listed = [path for path in folder.iterdir() if path.is_symlink() or path.is_dir()]
    except OSError as error:
        return Found([plain(f"{folder} : illisible ({type(error).__name__})")])
    there = sorted(path for path in listed if not path.name.startswith("."))
    return verify_all(there, trust) if there else Found([plain(f"{folder} : aucun dossier de preuves")])


def verify_all(paths: list[Path], trust: Trust) -> Found:
    """Verify bundles that follow each other in a chain."""
    found, read = Found(), []
    for path in paths:
        before = len(found.faults)
        try:
            manifest = _manifest(path, found) if _regular(path, found) else None
            if manifest is not None:
                _files(path, manifest, found)
                _signature(path, trust, found)
                _timestamp(path, manifest, trust, found)
                read.append((path, manifest))
        except OSError as error:
            found.faults.append(f"{path.name} : illisible ({type(error).__name__})")
        if len(found.faults) == before:
            found.sound.append(path.name)
    _chain(read, trust, found)
    found.bundles = [plain(path.name) for path, _manifest in read]
    found.faults, found.unproved = [*map(plain, found.faults)], [*map(plain, found.unproved)]
    return found


def plain(text: str) -> str:
    """A line that does to a screen nothing but show: names and values of bundles are anybody's."""
    return "".join("\ufffd" if category(char) in HIDDEN and char != "\t" else char for char in text)


def _regular(path: Path, found: Found) -> bool:
    """Whether a bundle is a folder of files: what a link leads to can change, a pipe may never end."""
    entries = [] if path.is_symlink() else sorted(path.iterdir())
    wrong = [f"{path.name}/{one.name}" for one in entries if one.is_symlink() or not one.is_file()]
    wrong += [path.name] if path.is_symlink() else []
    found.faults += [f"{name} : lien, répertoire ou fichier spécial" for name in wrong]
    return not wrong


def strict(content: bytes) -> Any:
    """JSON of which every reader understands the same: no name twice in an object, no number without end.

    Raises:
        ValueError: it is not.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    def never(constant: str) -> Any:
        raise ValueError(constant)

    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=once, parse_constant=never)
    except RecursionError as error:
        raise ValueError("too deep") from error


def _manifest(path: Path, found: Found) -> dict[str, Any] | None:
    try:
        manifest = strict((path / MANIFEST).read_bytes())
        if manifest["schema"] != SCHEMA:
            found.faults.append(f"{path.name} : version {manifest['schema']} du manifeste, attendu {SCHEMA}")
            return None
        wrong = [name for name, is_right in FORM.items() if not is_right(manifest[name])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        found.faults.append(f"{path.name} : manifeste illisible ({type(error).__name__})")
        return None
    if wrong:
        found.faults.append(f"{path.name} : valeur inattendue au manifeste ({', '.join(wrong)})")
        return None
    return dict(manifest)


def _is_moment(told: object) -> bool:
    return isinstance(told, str) and datetime.fromisoformat(told).utcoffset() is not None


FORM: dict[str, Callable[[Any], bool]] = {
    "number": lambda told: type(told) is int and told > 0,
    "previous": lambda told: told is None or isinstance(told, str),
    "previous_timestamp": lambda told: told is None or isinstance(told, str),
    "site": lambda told: isinstance(told, str),
    "kind": lambda told: told in {"static", "live"},
    "moment": _is_moment,
    "files": lambda told: isinstance(told, dict) and all(isinstance(one, str) for one in told.values()),
}
"""What a manifest holds; others may know more of it, but not less."""


def _files(path: Path, manifest: dict[str, Any], found: Found) -> None:
    there = {file.name for file in path.iterdir()}
    for name in sorted(manifest["files"].keys() ^ CONTENTS):
        found.faults.append(f"{path.name} : le manifeste doit nommer {', '.join(sorted(CONTENTS))} ({name})")
    for name in sorted(there - PROOFS - manifest["files"].keys()):
        found.faults.append(f"{path.name}/{name} : fichier qui n’est pas au manifeste")
    for name, wanted in sorted(manifest["files"].items()):
        if name not in there:
            found.faults.append(f"{path.name}/{name} : fichier manquant")
        elif sha256(path / name) != wanted:
            found.faults.append(f"{path.name}/{name} : contenu modifié (empreinte différente)")
        elif name in {FACTS, AUDIT}:
            _bound(path / name, manifest, found)


def _bound(file: Path, manifest: dict[str, Any], found: Found) -> None:
    """Facts and verdicts are of the audit that the manifest tells, and judge each control once."""
    where = f"{file.parent.name}/{file.name}"
    try:
        told = strict(file.read_bytes())
        own = (told["site"], told["kind"], datetime.fromisoformat(told[MOMENTS[file.name]]))
        judged = [str(one["control"]) for one in told["judgements"]] if file.name == AUDIT else []
        judged += [str(one["requirement"]) for one in told["verdicts"]] if file.name == AUDIT else []
    except (ValueError, KeyError, TypeError) as error:
        found.faults.append(f"{where} : contenu illisible ({type(error).__name__})")
        return
    if own != (manifest["site"], manifest["kind"], datetime.fromisoformat(manifest["moment"])):
        found.faults.append(f"{where} : site, genre ou moment autre que celui du manifeste")
    for name in sorted(name for name, times in Counter(judged).items() if times > 1):
        found.faults.append(f"{where} : {name} y est jugé deux fois")


def sha256(path: Path) -> str:
    """The digest of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _signature(path: Path, trust: Trust, found: Found) -> None:
    if trust.key is None or not trust.key.is_file():
        found.unproved.append(
            f"{path.name} : signature non vérifiée, la clé publique du signataire manque (--key)"
        )
        return
    words: list[str | Path] = [
        "dgst",
        "-sha384",
        "-verify",
        trust.key,
        "-signature",
        path / SIGNATURE,
        path / MANIFEST,
    ]
    if not _openssl(*words)[0]:
        found.faults.append(f"{path.name} : signature fausse ou d’un autre signataire")


def _timestamp(path: Path, manifest: dict[str, Any], trust: Trust, found: Found) -> None:
    reply = path / TIMESTAMP
    if not reply.is_file():
        found.faults.append(f"{path.name} : horodatage manquant")
        return
    stamped, moment = stamped_at(reply), datetime.fromisoformat(manifest["moment"])
    if stamped is None:
        found.faults.append(f"{path.name} : horodatage illisible, ou qui dit plus que ce qui est signé")
        return
    if trust.tsa_ca is None or not trust.tsa_ca.is_file():
        found.unproved.append(f"{path.name} : horodatage non vérifié, l’autorité manque (--tsa-ca)")
    elif not _stamped_by(trust.tsa_ca, path, stamped):
        found.faults.append(f"{path.name} : horodatage faux")
        return
    if not -CLOCKS <= stamped - moment <= LATEST_TIMESTAMP:
        found.faults.append(
            f"{path.name} : daté du {moment:%d/%m/%Y %H:%M:%S} mais horodaté le "
            f"{stamped:%d/%m/%Y %H:%M:%S} (UTC)"
        )


def _stamped_by(authority: Path, path: Path, stamped: datetime) -> bool:
    """Whether the authority signed it, with a certificate that ran on that day; it may have ended since."""
    then: list[str | Path] = ["-attime", str(int(stamped.timestamp())), "-CAfile", authority]
    return _openssl("ts", "-verify", *then, "-data", path / SIGNATURE, "-in", path / TIMESTAMP)[0]


def stamped_at(reply: Path) -> datetime | None:
    """The time in the signed token of an RFC 3161 reply; None when the reply is more than a granted token.

    Nobody signs the status of a reply, and it may hold any text: one that looks like a time, too.
    """
    taken, token = _openssl("ts", "-reply", "-in", reply, "-token_out")
    rebuilt, bare = _openssl("ts", "-reply", "-in", "/dev/stdin", "-token_in", given=token)
    well, text = _openssl("ts", "-reply", "-in", "/dev/stdin", "-token_in", "-text", given=token)
    told = [line for line in text.decode(errors="replace").splitlines() if line.startswith("Time stamp:")]
    if not (taken and rebuilt and well) or bare != reply.read_bytes() or len(told) != 1:
        return None
    parts = re.fullmatch(r"Time stamp: (\w{3} +\d+ [\d:]+)(?:\.\d+)? (\d{4}) GMT", told[0])
    try:
        bare_time = " ".join(f"{parts[1]} {parts[2]}".split()) if parts else ""
        return datetime.strptime(bare_time, "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None


def _chain(bundles: list[tuple[Path, dict[str, Any]]], trust: Trust, found: Found) -> None:
    ordered = sorted(bundles, key=lambda one: int(one[1]["number"]))
    before: tuple[Path, dict[str, Any]] | None = None
    digests = {}
    for path, manifest in ordered:
        digests[sha256(path / MANIFEST)] = path.name
        _link(path, manifest, before, found)
        before = (path, manifest)
    if ordered:
        found.head = sha256(ordered[-1][0] / MANIFEST)
    if trust.head and trust.head not in digests:
        found.faults.append(
            "la chaîne ne contient pas le manifeste vu auparavant (--head) : elle a été remplacée"
        )


def _link(
    path: Path, manifest: dict[str, Any], before: tuple[Path, dict[str, Any]] | None, found: Found
) -> None:
    number, previous, stamp = (manifest[name] for name in ("number", "previous", "previous_timestamp"))
    if before is None:
        if not (number == 1) == (previous is None) == (stamp is None):
            found.faults.append(f"{path.name} : début de chaîne incohérent (numéro {number})")
        elif number > 1:
            found.unproved.append(f"{path.name} : numéro {number}, {NOT_GIVEN}")
        return
    if number != before[1]["number"] + 1:
        found.faults.append(f"{path.name} : numéro {number} après le numéro {before[1]['number']}")
    if previous != sha256(before[0] / MANIFEST):
        found.faults.append(f"{path.name} : ne suit pas {before[0].name} (chaîne rompue)")
    reply = before[0] / TIMESTAMP
    if reply.is_file() and stamp != sha256(reply):
        found.faults.append(f"{before[0].name}/{TIMESTAMP} : n’est plus celui que suit {path.name}")
    if manifest["site"] != before[1]["site"]:
        found.faults.append(f"{path.name} : d’un autre site que {before[0].name}, qui le précède")
    if datetime.fromisoformat(manifest["moment"]) < datetime.fromisoformat(before[1]["moment"]):
        found.faults.append(f"{path.name} : antérieur à {before[0].name}, qui le précède")


def _openssl(*words: str | Path, given: bytes = b"") -> tuple[bool, bytes]:
    done = subprocess.run(["openssl", *map(str, words)], input=given, capture_output=True, check=False)
    return done.returncode == 0, done.stdout


def main() -> int:
    """Verify, print a line for each finding, return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", type=Path, help="public key of the signer, PEM, had by another way")
    parser.add_argument("--tsa-ca", type=Path, help="certificate of the timestamps' authority, PEM")
    parser.add_argument("--head", help="SHA-256 of the last manifest that was seen before")
    given = parser.parse_args()
    found = verify(given.folder, Trust(given.key, given.tsa_ca, given.head))
    for line in found.lines():
        print(line)
    return found.code


if __name__ == "__main__":
    sys.exit(main())
