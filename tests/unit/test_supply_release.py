"""Releases: the same commit gives the same archive, and openssl alone finds every change."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest

from socle import openbao
from socle.errors import SocleError
from socle.supply import release
from socle.vault.policies import text
from tests.unit.development_openbao import Development, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    with running(tmp_path_factory.mktemp("bao")) as made:
        made.root.sys.create_or_update_acl_policy("release", text(release.RULES))
        yield made


@pytest.fixture
def ask(server: Development, monkeypatch: pytest.MonkeyPatch) -> release.Ask:
    """OpenBao as a person who may sign releases."""
    token = server.root.auth.token.create(policies=["release"], no_default_policy=True)["auth"][
        "client_token"
    ]
    monkeypatch.setenv("BAO_ADDR", server.url)
    monkeypatch.setenv("BAO_CACERT", str(server.trust))
    monkeypatch.setenv("BAO_TOKEN", token)

    def request(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return openbao.request(method, path, body=body if method == "POST" else None)

    return request


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small project under git."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "README.md").write_text("Socle\n")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "First")
    return root


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)


def openssl(folder: Path, command: str) -> bool:
    return subprocess.run(command.split(), cwd=folder, capture_output=True, check=False).returncode == 0


def test_a_release_is_verified_with_openssl_alone(checkout: Path, tmp_path: Path, ask: release.Ask) -> None:
    made = release.make(tmp_path / "dist", "1.0", ask, '{"bomFormat": "CycloneDX"}\n', checkout)
    assert all(openssl(tmp_path / "dist", command) for command in made.commands())
    with tarfile.open(tmp_path / "dist/socle-1.0.tar.gz") as packed:
        assert packed.getnames() == ["socle-1.0", "socle-1.0/README.md", "socle-1.0/run"]
        assert packed.getmember("socle-1.0/run").mode == 0o755


@pytest.mark.parametrize("name", ["socle-1.0.tar.gz", "socle-1.0.cdx.json", "socle-1.0.tar.gz.sig"])
def test_every_change_is_found(checkout: Path, tmp_path: Path, ask: release.Ask, name: str) -> None:
    made = release.make(tmp_path / "dist", "1.0", ask, "{}\n", checkout)
    path = tmp_path / "dist" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not all(openssl(tmp_path / "dist", command) for command in made.commands())
    with pytest.raises(SocleError, match="signature is wrong"):
        release.verify(made)


def test_the_same_commit_gives_the_same_archive(checkout: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", str(checkout), str(copy)], check=True, umask=0o077)
    commit = release.clean_commit(checkout)
    assert release.archive(checkout, commit, "1.0") == release.archive(copy, commit, "1.0")


def test_a_checkout_with_changes_is_refused(checkout: Path, tmp_path: Path, ask: release.Ask) -> None:
    (checkout / "README.md").write_text("changed\n")
    with pytest.raises(SocleError, match="1 file is changed or new"):
        release.make(tmp_path / "dist", "1.0", ask, "{}\n", checkout)
    assert not (tmp_path / "dist").exists()


def test_whoever_signs_releases_may_do_nothing_else_with_the_key(
    server: Development, ask: release.Ask
) -> None:
    release.sign(b"first", ask)
    for method, path in (
        ("GET", f"transit/export/signing-key/{release.KEY}"),
        ("POST", f"transit/keys/{release.KEY}/config"),
        ("POST", "transit/sign/logs-seal/sha2-384"),
    ):
        with pytest.raises(SocleError, match="permission denied"):
            ask(method, path, {})
    key = server.root.read(f"transit/keys/{release.KEY}")["data"]
    assert (key["type"], key["exportable"]) == ("ecdsa-p384", False)


def test_another_login_signs_nothing(
    server: Development, ask: release.Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = server.root.auth.token.create(policies=["default"])["auth"]["client_token"]
    monkeypatch.setenv("BAO_TOKEN", token)
    with pytest.raises(SocleError, match="permission denied"):
        release.sign(b"text", ask)
    assert hvac.Client(server.url, token=token, verify=str(server.trust)).is_authenticated()
