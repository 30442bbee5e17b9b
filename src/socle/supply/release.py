"""A release: a reproducible archive of one commit, its bill of materials, signatures that openssl verifies.

Signed is the SHA-384 of each file, by a transit key of OpenBao (ECDSA P-384) that cannot be exported. Who
signs is a person: their own token, with the policy ``release``.
"""

from __future__ import annotations

import gzip
import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

from socle import durable, signing
from socle.errors import ExitCode, SocleError
from socle.paths import project_root
from socle.signing import Ask

KEY = "release"
RULES = signing.rules(KEY)
"""The policy of whoever signs releases."""


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
    _write(key_path, signing.public_key(KEY, ask).encode())
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
            "1 file is changed or new" if len(changed) == 1 else f"{len(changed)} files are changed or new",
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
    """The signature of a file of a release."""
    return signing.sign(KEY, content, ask)


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
    durable.sync_file(draft)
    draft.replace(path)
    durable.sync_folder(path.parent)
