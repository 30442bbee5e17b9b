"""Git as the audit asks it: nothing that a user or a repository configures has a say in the answer."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from socle.errors import SocleError
from socle.site import Site

SECONDS: Final = 60
OWN: Final = (
    "safe.directory=*",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "gpg.program=gpg",
    "gpg.ssh.program=ssh-keygen",
    "log.showSignature=false",
)
"""Settings that no file may have otherwise: some of them name programs that git runs."""
VARIABLES: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C.UTF-8",
}


class NoHistory(SocleError):  # noqa: N818 - it is an answer, not a failure
    """A folder is in no repository, or git cannot read it (the message is French)."""


@dataclass(frozen=True)
class Repository:
    """The repository that a folder is in; ``more`` are further settings, as those that verify signatures."""

    folder: Path
    more: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def ask(self, *words: str, given: bytes = b"", ok: tuple[int, ...] = (0,)) -> bytes:
        """What git prints.

        Raises:
            NoHistory: the folder is in no repository, git is not there, or it fails.
        """
        settings = [part for one in (*OWN, *self.more) for part in ("-c", one)]
        outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(
                ["git", "-C", str(self.folder), *settings, *words],
                input=given,
                capture_output=True,
                timeout=SECONDS,
                check=False,
                env={**outside, **VARIABLES, **self.variables},
            )
        except FileNotFoundError as error:
            raise NoHistory("git n’est pas installé") from error
        except subprocess.TimeoutExpired as error:
            raise NoHistory(f"git {words[0]} ne répond pas en {SECONDS} s") from error
        if done.returncode not in ok:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            if said and "not a git repository" in said[-1]:
                raise NoHistory(f"{self.folder} n’est pas dans un dépôt git : aucun historique à lire")
            raise NoHistory(f"git {words[0]} finit par {done.returncode} : {said[-1] if said else ''}")
        return done.stdout

    def lines(self, *words: str, given: bytes = b"", ok: tuple[int, ...] = (0,)) -> list[str]:
        """What git prints, by lines."""
        return self.ask(*words, given=given, ok=ok).decode("utf-8", "replace").splitlines()

    def fields(self, *words: str, ok: tuple[int, ...] = (0,)) -> list[str]:
        """What git prints when each piece ends with a zero (``-z``)."""
        return self.ask(*words, ok=ok).decode("utf-8", "replace").split("\0")[:-1]

    def top(self) -> Path:
        """The root of its work tree."""
        return Path(self.lines("rev-parse", "--show-toplevel")[0])

    def knows(self, commit: str) -> bool:
        """Whether a commit is in the history of what is checked out."""
        if not commit or commit.startswith("-"):
            return False
        name = f"{commit}^{{commit}}"
        if not self.lines("rev-parse", "--quiet", "--verify", name, ok=(0, 1, 128)):
            return False
        missing = self.lines("rev-list", "--max-count=1", name, "--not", "HEAD")
        return not missing


@dataclass(frozen=True)
class Known:
    """The repository of a site's folder, and whose the keys are by which its commits may be signed.

    Args:
        logins: of the people of ``people.yml``, by fingerprint of their PGP keys; those of SSH keys are named
            by git itself.
        apart: an empty repository that sees the objects of the site's: there merges are done again without
            its settings and drivers, and without writing into it.
    """

    repository: Repository
    logins: Mapping[str, str]
    apart: Repository

    def merged(self, *parents: str) -> str | None:
        """The tree that git alone makes of parents; None where they need a hand, or git is older than 2.38.

        Renames are not followed: they would carry what was changed elsewhere into the site's files.
        """
        if len(parents) != 2:  # noqa: PLR2004 - git does no other merge without a work tree
            return None
        try:
            return self.apart.lines("merge-tree", "--write-tree", *parents)[0]
        except NoHistory:
            return None


@contextmanager
def known_by(site: Site) -> Iterator[Known]:
    """The repository of a site's folder, with the keys of its people and no others."""
    with tempfile.TemporaryDirectory(prefix="socle-git-") as home:
        Path(home).chmod(0o700)
        allowed = Path(home, "allowed_signers")
        people = sorted(site.people.people.items())
        lines = [f'{who} namespaces="git" {key}\n' for who, person in people for key in person.ssh_keys]
        allowed.write_text("".join(lines), "utf-8")
        logins = {
            mark: who for who, person in people if person.pgp_key for mark in _imported(home, person.pgp_key)
        }
        settings = (f"gpg.ssh.allowedSignersFile={allowed}",)
        repository = Repository(site.folder, settings, {"GNUPGHOME": home})
        yield Known(repository, logins, _apart(repository, Path(home, "merges.git")))


def _apart(repository: Repository, place: Path) -> Repository:
    """An empty repository that reads the objects of another."""
    objects, form = repository.lines(
        "rev-parse", "--path-format=absolute", "--git-path", "objects", "--show-object-format"
    )
    made = Repository(repository.folder, ("merge.renames=false",), {"GIT_DIR": str(place)})
    made.ask("init", "--quiet", "--bare", "--template=", f"--object-format={form}")
    (place / "objects/info").mkdir(exist_ok=True)
    (place / "objects/info/alternates").write_text(f"{objects}\n", "utf-8")
    return made


def _imported(home: str, key: str) -> list[str]:
    """The fingerprints of the keys that gpg took."""
    command = ["gpg", "--batch", "--no-autostart", "--status-fd", "1", "--homedir", home, "--import"]
    try:
        done = subprocess.run(command, input=key, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoHistory("gpg n’est pas installé : les signatures PGP ne se vérifient pas") from error
    words = (line.split() for line in done.stdout.splitlines())
    return [parts[3] for parts in words if parts[1:2] == ["IMPORT_OK"] and len(parts) > 3]  # noqa: PLR2004
