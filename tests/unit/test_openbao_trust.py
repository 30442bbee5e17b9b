"""Which certificates of OpenBao are asked for: none of a node that says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from socle.errors import Cause, SocleError
from socle.vault import remote, trust
from socle.vault.place import VaultNode
from tests.unit.openssl_notary import openssl


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A site with an authority, whose node listens and never says a word."""
    root = tmp_path / "ca.pem"
    words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=root"]
    openssl("req", "-x509", *words, "-keyout", tmp_path / "ca.key", "-out", root)
    monkeypatch.setattr(trust, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        node = SimpleNamespace(name="sec1", address="127.0.0.1", port=silent.getsockname()[1], url="x")
        yield SimpleNamespace(folder=tmp_path, ca_file=root, nodes=(node,))


def test_of_a_node_that_says_nothing_no_certificate_is_asked(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_place: object, _node: VaultNode) -> str:
        raise AssertionError("asked by SSH")

    monkeypatch.setattr(remote, "bootstrap_certificate", asked)
    assert trust.trust_file(place).read_text() == place.ca_file.read_text()
    place.ca_file.unlink()
    place.nodes[0].port = 1
    with pytest.raises(SocleError) as error:
        trust.trust_file(place)
    assert error.value.cause is Cause.OPENBAO_SILENT
