"""Who signs audits, when OpenBao is another one than before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from socle.audit import notary
from socle.errors import SocleError
from tests.unit.development_openbao import running


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    (tmp_path / "audits/00001-first").mkdir(parents=True)
    return tmp_path / "audits"


@pytest.fixture
def asks(tmp_path: Path) -> Any:
    """The signers of two OpenBaos, the second without any key yet."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with running(tmp_path / "first") as first, running(tmp_path / "second") as second:
        yield tuple(
            lambda method, path, body, root=server.root: (
                (root.read(path) if method == "GET" else root.write_data(path, data=body)) or {}
            )
            for server in (first, second)
        )


def test_a_lab_made_anew_begins_a_new_chain_and_keeps_the_old_one(chain: Path, asks: Any) -> None:
    known = chain.with_name("audit.pub")
    notary.pin(known, chain, asks[0], test_chain=True)
    former = known.read_text()
    notary.pin(known, chain, asks[0], test_chain=True)
    assert (chain / "00001-first").is_dir()
    notary.pin(known, chain, asks[1], test_chain=True)
    assert known.read_text() != former
    assert not chain.exists()
    (aside,) = chain.parent.glob("audits-*")
    assert (aside / "audit.pub").read_text() == former
    assert (aside / "00001-first").is_dir()


def test_killed_while_it_sets_aside_it_goes_on(chain: Path, asks: Any, monkeypatch: Any) -> None:
    known = chain.with_name("audit.pub")
    notary.pin(known, chain, asks[0], test_chain=True)
    former = known.read_text()

    def killed(*_args: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as halfway:
        halfway.setattr(Path, "mkdir", killed)
        with pytest.raises(KeyboardInterrupt):
            notary.pin(known, chain, asks[1], test_chain=True)
    notary.pin(known, chain, asks[1], test_chain=True)
    (aside,) = chain.parent.glob("audits-*")
    assert (aside / "audit.pub").read_text() == former
    assert (aside / "00001-first").is_dir()


def test_on_a_site_another_signer_is_a_fault_and_nothing_moves(chain: Path, asks: Any) -> None:
    known = chain.with_name("audit.pub")
    notary.pin(known, chain, asks[0], test_chain=False)
    former = known.read_text()
    with pytest.raises(SocleError, match="another key"):
        notary.pin(known, chain, asks[1], test_chain=False)
    assert known.read_text() == former
    assert (chain / "00001-first").is_dir()
