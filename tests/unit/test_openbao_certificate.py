"""The pair with which OpenBao starts: its first one, or the former one when a renewal was cut off."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from socle.paths import project_root

PROGRAM = project_root() / "roles/openbao/templates/usr/local/sbin/openbao-first-certificate.j2"


def pair(folder: Path, name: str) -> tuple[str, str]:
    """A certificate and its key."""
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", f"/CN={name}")
    files = ("-keyout", folder / "k", "-out", folder / "c")
    subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True)
    return (folder / "c").read_text(), (folder / "k").read_text()


class Node:
    """The folders of OpenBao's node, and the program that runs before each start."""

    def __init__(self, folder: Path) -> None:
        self.tls, self.own = folder / "tls", folder / "own"
        self.tls.mkdir()
        self.own.mkdir()
        text = PROGRAM.read_text().replace("/etc/socle/tls", str(self.tls)).replace("chown ", "true ")
        self.program = folder / "program"
        self.program.write_text(text.replace("/etc/openbao/tls", str(self.own)))

    def lay(self, certificate: str | None, key: str | None, both: str | None = None) -> None:
        for suffix, text in (("crt", certificate), ("key", key), ("pem", both)):
            if text is not None:
                (self.tls / f"openbao.{suffix}").write_text(text)

    def start(self) -> tuple[str, str]:
        """What OpenBao then reads; the two fit, or the test fails."""
        subprocess.run(["sh", self.program, "192.0.2.1", "sec1", "bao.test"], check=True)
        crt, key = (self.tls / f"openbao.{suffix}" for suffix in ("crt", "key"))
        said = [("x509", "-in", crt, "-noout", "-pubkey"), ("pkey", "-in", key, "-pubout")]
        one, other = (subprocess.check_output(["openssl", *words]) for words in said)
        assert one == other
        assert [path.stat().st_mode & 0o777 for path in (crt, key)] == [0o644, 0o640]
        assert not list(self.own.glob(".first-*"))
        return crt.read_text(), key.read_text()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_the_first_pair_is_made_once(node: Node) -> None:
    made = node.start()
    assert node.start() == made
    assert (node.own / "bootstrap.crt").read_text() == made[0]


def test_a_renewal_that_was_cut_off_gives_the_former_pair_back(node: Node, tmp_path: Path) -> None:
    former, coming = pair(tmp_path, "former"), pair(tmp_path, "coming")
    issuer = pair(tmp_path, "issuer")[0]
    node.lay(former[0] + issuer, coming[1], former[0] + issuer + former[1])
    crt, key = node.start()
    assert crt == former[0] + issuer
    assert key == former[1]
    node.lay(coming[0], coming[1])
    node.tls.joinpath("openbao.key").chmod(0o640)
    assert node.start() == coming


@pytest.mark.parametrize("both", [None, "", "no certificate"])
def test_a_pair_that_cannot_be_had_back_is_made_anew(node: Node, tmp_path: Path, both: str | None) -> None:
    node.lay(pair(tmp_path, "former")[0], pair(tmp_path, "coming")[1], both)
    assert node.start()[0] == (node.own / "bootstrap.crt").read_text()
