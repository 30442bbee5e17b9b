"""A site in a repository of its own, whose people sign by their SSH keys, as the audit reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml

from socle.paths import project_root

AUTHOR, OTHER = "denis.operator", "carole.custodian"


class SignedRepository:
    """A copy of the lab's files in a fresh repository; two of its people have keys, one stranger too."""

    def __init__(self, folder: Path) -> None:
        self.top, self.keys = folder / "depot", folder / "keys"
        self.site = self.top / "essai"
        self.keys.mkdir(parents=True)
        shutil.copytree(project_root() / "inventories/lab", self.site)
        people = self.site / "people.yml"
        told = yaml.safe_load(people.read_text("utf-8"))
        self.emails = {login: person["email"] for login, person in told["people"].items()}
        self.emails["stranger"] = "stranger@elsewhere.example"
        for login in (AUTHOR, OTHER, "stranger"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", login, "-f", str(self.keys / login)]
            subprocess.run(words, check=True)
            if login in told["people"]:
                public = (self.keys / f"{login}.pub").read_text("utf-8").strip()
                told["people"][login]["ssh_keys"] = [public]
        people.write_text(yaml.safe_dump(told, allow_unicode=True), "utf-8")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("commit", "--quiet", "--allow-empty", "--message=Begin")
        self.let_in("Describe the site")

    def git(self, *words: str, who: str = AUTHOR, author: str | None = None) -> str:
        """What git prints, as one person; ``author`` is another one's name on the commit."""
        named = {"user.name": who, "user.email": self.emails[who], "gpg.format": "ssh"}
        settings = [part for name, value in named.items() for part in ("-c", f"{name}={value}")]
        settings += ["-c", f"user.signingkey={self.keys / who}"]
        more = [f"--author={author} <{self.emails[author]}>"] if author else []
        done = subprocess.run(
            ["git", "-C", str(self.top), *settings, *words, *more], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, text: str, author: str, signed_by: str | None) -> None:
        """Put what is in the folder into a commit of an author; the signer is the committer."""
        self.git("add", "--all")
        sign = "--gpg-sign" if signed_by else "--no-gpg-sign"
        words = ("commit", "--quiet", "--allow-empty", sign, f"--message={text}")
        self.git(*words, who=signed_by or author, author=author)

    def let_in(self, text: str, author: str = AUTHOR, merged_by: str = OTHER) -> None:
        """Put what is in the folder into a signed commit of its author, and merge that by another person."""
        self.git("switch", "--quiet", "--force-create", "topic")
        self.commit(text, author, signed_by=author)
        self.git("switch", "--quiet", "main")
        self.merge("topic", merged_by)

    def merge(self, branch: str, who: str, *more: str) -> None:
        """Merge a branch into the one that is checked out, by a signed commit."""
        self.git(
            "merge", "--quiet", "--no-ff", "--gpg-sign", *more, f"--message=Merge {branch}", branch, who=who
        )

    def change(self, text: str) -> None:
        """Change the site's files."""
        path = self.site / "site.yml"
        path.write_text(path.read_text("utf-8") + f"# {text}\n", "utf-8")
