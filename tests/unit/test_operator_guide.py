"""The commands of the operator's guide, run as they stand there, against a real OpenBao and GnuPG."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from socle import vault
from socle.cli import administering, app, rotating
from socle.paths import project_root
from socle.tools import binary
from socle.vault import audit, custody, people
from socle.vault.place import Custodian, Place
from tests.unit.openbao_server import Server, begun, short_folder
from tests.unit.test_identities import PASSWORD, code

GUIDE = project_root() / "docs" / "operator"
NAMES = ("elise.fontaine", "farid.benali", "gilles.roussel")
PEOPLE = {"anne.lefevre": ("operator",), "farid.benali": ("crypto-officer", "custodian")}


class Terminal:
    """Somebody who follows the guide: runs its lines, and types what each command asks for."""

    def __init__(self, server: Server, played: Place, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.server, self.played, self.folder, self.patch = server, played, folder, patch
        self.urls: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        self.reached = {"BAO_ADDR": played.nodes[0].url, "BAO_CACERT": str(server.folder / "crt")}
        """What this place has for the address and the authority that a guide exports."""

    def follow(self, page: str, only: range | None = None) -> list[str]:
        """Run the lines of a page's ``sh`` blocks; what each printed."""
        blocks = re.findall(
            r"^ *```sh\n(.*?)^ *```", (GUIDE / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        chosen = [block for index, block in enumerate(blocks) if only is None or index in only]
        return [self.line(line.strip()) for block in chosen for line in block.strip().splitlines()]

    def line(self, line: str) -> str:
        inner = re.fullmatch(r"export (\w+)=\$\((.*)\)", line)
        if inner:
            self.environment[inner[1]] = self.line(inner[2]).strip()
            return ""
        if line.startswith("export "):
            for name in (word.partition("=")[0] for word in shlex.split(line, comments=True)[1:]):
                self.environment[name] = self.reached[name]
            return ""
        command, _arrow, file = line.partition(" > ")
        program, *words = command.split()
        said = {"socle": self.socle, "bao": self.bao, "gpg": self.gpg}[program](words)
        if file:
            (self.folder / file).write_text(said)
        return said

    def socle(self, words: list[str]) -> str:
        """``socle``, with what people type on its standard input and what it prints."""
        printed = io.StringIO()
        with self.patch.context() as patch:
            patch.setattr("sys.stdin", self.typed(words))
            patch.setattr("sys.stdout", printed)
            patch.chdir(self.folder)
            assert app.run(words + (["--yes"] if words[-1] == "init" else [])) == 0, words
        found = re.search(r"otpauth://\S+", printed.getvalue())
        if found:
            self.urls[words[-1]] = found[0]
        return printed.getvalue()

    def typed(self, words: list[str]) -> Any:
        match words[1]:
            case "login":
                return io.StringIO(f"{PASSWORD}\n{code(self.urls[words[2]], 1)}\n")
            case "enrol":
                return Shares(self.played, PASSWORD)
            case _:
                return Shares(self.played)

    def bao(self, words: list[str]) -> str:
        around = {name: value for name, value in os.environ.items() if not name.startswith("BAO_")}
        environment = {**around, **self.environment}
        command = [str(binary("bao")), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    def gpg(self, words: list[str]) -> str:
        """What Élise reads."""
        assert words[0] == "--decrypt"
        return custody.keyring(self.played, NAMES[0]).decrypt((self.folder / words[1]).read_text())


class Shares(io.StringIO):
    """What custodians type: each share that is in force, then for a rekey the new ones."""

    def __init__(self, place: Place, *first: str) -> None:
        super().__init__()
        self.place, self.lines, self.given = place, list(first), 0

    def readline(self, *_size: Any) -> str:
        if self.lines:
            return self.lines.pop(0) + "\n"
        kept = custody.record(self.place)
        kept = kept.get("next", kept)
        login = NAMES[self.given % self.place.threshold]
        self.given += 1
        message = kept["shares"][login]["message"]
        return custody.keyring(self.place, login).decrypt(custody.pgp.armour(message)).strip() + "\n"


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    """At the place of a site whose custodians are people with keys of their own."""
    with pytest.MonkeyPatch.context() as patch, begun(patch) as (server, bare), short_folder() as folder:
        played = replace(bare, people=PEOPLE)
        holders = tuple(
            Custodian(
                name, name, f"{name}@gip.example", custody.keyring(played, name).public(name, f"{name}@a.fr")
            )
            for name in NAMES
        )
        place = replace(played, custody="custodians", custodians=holders)
        patch.setattr(vault, "place_of", lambda *_given: place)
        patch.setattr(audit, "devices", lambda _place: (audit.Device("one", "file/file"),))
        yield Terminal(server, place, folder, patch)


def test_the_guide(terminal: Terminal) -> None:
    said = terminal.follow("key-ceremony.md")
    assert any("anne.lefevre is enrolled" in text for text in said)
    assert "127.0.0.1" in said[-1], "the operator sees the members"
    (decrypted,) = [text for text in said if re.fullmatch(r"[0-9a-f]{66}\s*", text)]
    assert decrypted.strip() not in "".join(
        p.read_text("utf-8", "replace") for p in terminal.folder.iterdir()
    )

    before = custody.record(terminal.played)["shares"]
    terminal.follow("lost-custodian.md")
    assert custody.record(terminal.played)["shares"] != before

    terminal.server.restart()
    said = terminal.follow("lost-node.md", range(1))
    assert "OpenBao is unsealed on one" in said[0]
    terminal.line("socle vault snapshot openbao.snap")
    terminal.server.wipe()
    said = terminal.follow("lost-node.md", range(1, 2))
    assert "OpenBao is restored and unsealed" in said[0]

    terminal.socle(["vault", "enrol", "farid.benali"])
    said = terminal.follow("break-glass.md", range(3))  # what follows is of Keystone: tests/lab
    assert "OpenBao is unsealed on one" in said[3]
    token = said[5].strip()
    assert token.startswith("s.")
    terminal.environment["BAO_TOKEN"] = token
    with pytest.raises(subprocess.CalledProcessError):
        terminal.bao(["token", "lookup"])
    assert token not in (terminal.folder / "root.asc").read_text()
    assert people.MOUNT == "userpass"


def test_every_command_of_the_guide_is_one(terminal: Terminal) -> None:
    for group, commands in {"vault": rotating.vault_app, "cloud": administering.cloud_app}.items():
        names = {command.name or command.callback.__name__ for command in commands.registered_commands}
        for page in GUIDE.glob("*.md"):
            for name in re.findall(rf"socle {group} ([a-z-]+)", page.read_text("utf-8")):
                assert name in names, f"{page.name}: socle {group} {name}"
