"""Fetches single packages of a Debian release, checked by its keys, beside the machine's own apt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from socle.errors import SocleError
from socle.lab.plan import Debian
from socle.lab.process import run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Archive:
    """A Debian archive with an apt state of its own in ``folder``; the machine's Acquire settings apply."""

    debian: Debian
    folder: Path

    def refresh(self) -> None:
        """Fetch the package lists.

        Raises:
            SocleError: the mirror does not answer, or its signature is not Debian's.
        """
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        if not KEYRING.exists():
            write = "apt-get install debian-archive-keyring"
            raise SocleError(f"no {KEYRING}", where="this machine", write=write)
        components = " ".join(self.debian.components)
        source = f"deb [signed-by={KEYRING}] {self.debian.mirror} {self.debian.suite} {components}\n"
        (self.folder / "sources.list").write_text(source, encoding="utf-8")
        self._apt("apt-get", "update")

    def first_dependency(self, package: str) -> str:
        """The package that a metapackage stands for."""
        for line in self._apt("apt-cache", "show", package).splitlines():
            if line.startswith("Depends: "):
                return line.split()[1].rstrip(",")
        raise SocleError(f"package {package} depends on nothing", where=self.debian.mirror)

    def unpack(self, package: str, into: Path) -> None:
        """Fetch a package and unpack its files."""
        uris = self._apt("apt-get", "--print-uris", "download", package)
        url, name = uris.split()[0].strip("'"), uris.split()[1]
        self._apt("apt-get", "download", package)
        fetched = self.folder / name
        run(["dpkg-deb", "--extract", fetched, into], doing=f"{package} from {url}")
        fetched.unlink()

    def _apt(self, command: str, *arguments: str) -> str:
        options = {
            "Dir::Etc::SourceList": self.folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State": self.folder / "state",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
        }
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return run(
            [command, "-qq", *words, *arguments],
            doing=f"packages of {self.debian.mirror}",
            folder=self.folder,
        )
