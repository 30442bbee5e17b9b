"""A release: a reproducible archive of one commit, its bill of materials, signatures that openssl verifies.

Signed is the SHA-384 of each file, by a transit key of OpenBao (ECDSA P-384) that cannot be exported. Who
signs is a person: their own token, with the policy ``release``.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socle import durable
from socle.errors import ExitCode, SocleError
from socle.paths import project_root

KEY = "release"
HASH = "sha2-384"
RULES: dict[str, dict[str, Any]] = {
    f"transit/keys/{KEY}": {
        "capabilities": ["create", "update", "read"],
        "allowed_parameters": {"type": ["ecdsa-p384"], "exportable": [False]},
    },
    f"transit/sign/{KEY}/{HASH}": {"capabilities": ["update"]},
}
"""The policy of whoever signs releases."""

type Ask = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""OpenBao: method, path, body; the answer."""


@dataclass(frozen=True)
class Release:
    """What was written: the archive, the signature of each file, and the public key that verifies them."""

    version: str
    commit: str
    files: tuple[Path, ...]
    public_key: Path

    def commands(self) -> list[str]:
        """What anybody runs to verify, without the kit."""
        key = self.public_key.name
        return [f"openssl dgst -sha384 -verify {key} -signature {f.name}.sig {f.name}" for f in self.files]


def make(folder: Path, version: str, ask: Ask, bill: str, root: Path | None = None) -> Release:
    """Write and sign a release of the commit that is checked out.

    Args:
        bill: the kit's bill of materials, JSON.

    Raises:
        SocleError: the checkout has changes, or OpenBao does not sign.
    """
    root = root or project_root()
    commit = clean_commit(root)
    folder.mkdir(parents=True, exist_ok=True)
    archive_path = folder / f"socle-{version}.tar.gz"
    bill_path = folder / f"socle-{version}.cdx.json"
    _write(archive_path, archive(root, commit, version))
    _write(bill_path, bill.encode())
    signed = (archive_path, bill_path)
    for path in signed:
        _write(path.with_name(f"{path.name}.sig"), sign(path.read_bytes(), ask))
    key_path = folder / f"socle-{version}.pub"
    _write(key_path, public_key(ask).encode())
    made = Release(version, commit, signed, key_path)
    verify(made)
    return made


def clean_commit(root: Path) -> str:
    """The commit that is checked out, without changes.

    Raises:
        SocleError: there are changes.
    """
    changed = _git(root, "status", "--porcelain").decode().splitlines()
    if changed:
        raise SocleError(
            f"{len(changed)} files are changed or new",
            where=str(root),
            expected="a commit",
            write="git commit",
        )
    return _git(root, "rev-parse", "HEAD").decode().strip()


def archive(root: Path, commit: str, version: str) -> bytes:
    """The files of a commit; the same commit gives the same bytes."""
    plain = _git(root, "archive", "--format=tar", f"--prefix=socle-{version}/", commit)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as stream:
        stream.write(plain)
    return packed.getvalue()


def sign(content: bytes, ask: Ask) -> bytes:
    """The signature, DER, of SHA-384 over the content."""
    ask("POST", f"transit/keys/{KEY}", {"type": "ecdsa-p384", "exportable": False})
    given = {"input": base64.b64encode(hashlib.sha384(content).digest()).decode(), "prehashed": True}
    answer = ask("POST", f"transit/sign/{KEY}/{HASH}", given)
    return base64.b64decode(str(answer["data"]["signature"]).rpartition(":")[2])


def public_key(ask: Ask) -> str:
    """The key of the newest version, PEM."""
    data = ask("GET", f"transit/keys/{KEY}", {})["data"]
    return str(data["keys"][str(data["latest_version"])]["public_key"]).strip() + "\n"


def verify(release: Release) -> None:
    """Verify as anybody would, with openssl.

    Raises:
        SocleError: a signature is wrong.
    """
    for path in release.files:
        signature = path.with_name(f"{path.name}.sig")
        command: list[str | Path] = ["openssl", "dgst", "-sha384", "-verify", release.public_key]
        done = subprocess.run(
            [*command, "-signature", signature, path], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SocleError("its signature is wrong", where=str(path), write="make the release again")


def _git(root: Path, *words: str) -> bytes:
    # The archive must not depend on the machine: neither its umask nor its filters.
    command = ["git", "-c", "tar.umask=0022", "-c", "core.autocrlf=false", "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode().strip().splitlines()[-1:]
        raise SocleError(
            f"git {words[0]}: {' '.join(reason)}", where=str(root), exit_code=ExitCode.PREREQUISITE
        )
    return done.stdout


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)
    durable.sync_folder(path.parent)
