"""The program that renews a host's certificates is killed before each file that it lays, and run again."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from socle.paths import project_root

PROGRAM = project_root() / "roles/certificates/templates/usr/local/sbin/socle-certificates.j2"
CERTIFICATE = {
    "name": "one",
    "names": ["one.test"],
    "addresses": ["192.0.2.1"],
    "owner": "root",
    "reload": "web",
}
SUFFIXES = ("ca", "key", "crt", "pem")


class Killed(BaseException):
    """The process ends here."""


def openssl(*words: str | Path, given: str = "") -> str:
    command = ["openssl", *map(str, words)]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


class Host:
    """A host's folders, an authority that signs, and the program between them."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch, self.left = folder, patch, -1
        self.reloaded: list[str] = []
        (folder / "tls").mkdir()
        (folder / "ssh.pub").touch()
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", folder / "ca.key")
        openssl("req", "-x509", *key, "-subj", "/CN=root", "-days", "99", "-out", folder / "ca.crt")
        settings = {"role": "host", "ssh_names": ["one"], "certificates": [CERTIFICATE]}
        (folder / "certificates.json").write_text(json.dumps(settings))
        self.program = self._loaded()

    def _loaded(self) -> ModuleType:
        file = self.folder / "program.py"
        file.write_text("\n".join(line for line in PROGRAM.read_text().splitlines() if "{%" not in line))
        spec = importlib.util.spec_from_file_location("program", file)
        assert spec is not None
        assert spec.loader is not None
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
        folder = self.folder
        for name, path in (("FOLDER", ""), ("TLS", "tls"), ("OWED", "owed"), ("ROOT", "ca.crt")):
            setattr(program, name, folder / path)
        program.SSH_KEY, program.SSH_CERTIFICATE = folder / "ssh.pub", folder / "ssh-cert.pub"
        program.log_in = lambda *_given: "token"
        program.call, program.replace, program.reload = self.sign, self.replace, self.reloaded.append
        return program

    def sign(
        self, _settings: Any, path: str, _trust: str, _token: str, body: dict[str, str]
    ) -> dict[str, Any]:
        """What OpenBao answers."""
        if path.startswith("ssh_host"):
            return {"data": {"signed_key": "signed"}}
        names = [f"DNS:{name}" for name in body["alt_names"].split(",")]
        names += [f"IP:{address}" for address in body.get("ip_sans", "").split(",") if address]
        (self.folder / "ext").write_text(f"subjectAltName={','.join(names)}\n")
        by = (
            "-CA",
            self.folder / "ca.crt",
            "-CAkey",
            self.folder / "ca.key",
            "-extfile",
            self.folder / "ext",
        )
        made = openssl("x509", "-req", *by, "-days", "30", given=body["csr"])
        return {"data": {"certificate": made, "ca_chain": [(self.folder / "ca.crt").read_text()]}}

    def replace(self, path: Path, text: str, _owner: str, _mode: int) -> None:
        """One rename, before which the process may end."""
        if self.left == 0:
            raise Killed
        self.left -= 1
        path.write_text(text)

    def run(self, *words: str, left: int = -1) -> bool:
        """Whether the program came to its end."""
        self.left = left
        self.patch.setattr("sys.argv", ["socle-certificates", *words])
        try:
            self.program.main()
        except Killed:
            return False
        return True

    def laid(self) -> dict[str, str]:
        return {suffix: (self.folder / "tls" / f"one.{suffix}").read_text() for suffix in SUFFIXES}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path, monkeypatch)
    assert made.run()
    return made


def test_killed_before_each_file_and_run_again(host: Host) -> None:
    for renames in range(20):
        before = host.laid()
        host.reloaded.clear()
        ended = host.run("--renew", left=renames)
        torn = host.laid() != before
        assert host.run()
        after = host.laid()
        assert after["pem"] == after["crt"] + after["key"], f"killed before file {renames}"
        assert host.program.presented(host.folder / "tls/one.crt", host.folder / "tls/one.key")
        assert ("web" in host.reloaded) or not torn, f"killed before file {renames}: nothing reads it"
        assert not host.program.OWED.exists()
        if ended:
            break
    else:
        pytest.fail("it never came to its end")
    assert renames >= len(SUFFIXES)
    assert after["crt"] != before["crt"]


def test_what_is_whole_is_left_alone(host: Host) -> None:
    before = host.laid()
    host.reloaded.clear()
    assert host.run()
    assert (host.laid(), host.reloaded) == (before, [])
