"""The seal among custodians who have PGP keys, against a real OpenBao and GnuPG."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from socle import durable, vault
from socle.errors import ExitCode, SocleError
from socle.vault import ceremony, custody, pgp, quorum, remote
from socle.vault.api import client
from socle.vault.custody import Ask
from socle.vault.place import Place
from tests.unit.openbao_server import CUSTODIANS, Server, short_folder


def of_people(place: Place) -> Place:
    """The same custodians as people of a real site: with public keys that people.yml holds."""
    holders = [
        replace(one, pgp_key=custody.keyring(place, one.login).public(one.name, one.email))
        for one in place.custodians
    ]
    return replace(place, custody="custodians", custodians=tuple(holders))


def typed(place: Place, asked: Ask, count: int | None = None) -> list[str]:
    """What the custodians read in their messages."""
    return list(islice(custody.played(place, asked), count))


def shares(place: Place, count: int | None = None) -> list[str]:
    return typed(place, custody.ask(place, "test", "test"), count)


def state_text(place: Place) -> str:
    """Everything in the state folder but the custodians' private keys."""
    files = [path for path in place.state.rglob("*") if path.is_file() and "custodians" not in path.parts]
    return "".join(path.read_text("utf-8", "replace") for path in files)


def test_shares_and_the_root_token_are_nowhere_in_clear(place: Place) -> None:
    vault.initialise(place)
    kept = custody.record(place)
    token = custody.keyring(place, "ann.test").decrypt(pgp.armour(kept["root_token"]))
    assert token.startswith("s."), "the first root token is encrypted to the first custodian"
    found = shares(place)
    assert len(set(found)) == 3
    text = state_text(place)
    assert kept["shares"]["bob.test"]["message"] in text, "a planted value is found"
    assert not [secret for secret in (*found, token) if secret in text]


def test_only_its_custodian_reads_a_share(place: Place) -> None:
    vault.initialise(place)
    message = pgp.armour(custody.record(place)["shares"]["ann.test"]["message"])
    assert custody.keyring(place, "ann.test").decrypt(message)
    with pytest.raises(SocleError, match="GnuPG failed"):
        custody.keyring(place, "bob.test").decrypt(message)


def test_first_root_token_dies_unread(place: Place) -> None:
    vault.initialise(place)
    message = custody.record(place)["root_token"]
    vault.prepare(place)
    token = custody.keyring(place, "ann.test").decrypt(pgp.armour(message)).strip()
    assert not client(place, place.nodes[0], token).is_authenticated()
    assert "root_token" not in custody.record(place)


def test_a_root_token_whose_process_was_killed_dies_with_the_next(place: Place) -> None:
    vault.prepare(place)
    lost = quorum.generate(place, custody.shares_of(place), custody.ask(place, "test", "test"))
    assert client(place, place.nodes[0], lost).is_authenticated()
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        used = speaker.token
    assert not client(place, place.nodes[0], lost).is_authenticated()
    assert not client(place, place.nodes[0], used).is_authenticated()


def test_real_custodians_are_asked_by_name_of_the_command(place: Place) -> None:
    people = of_people(place)
    with pytest.raises(SocleError, match="socle vault init") as caught:
        vault.prepare(people)
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert vault.initialise(people)
    with pytest.raises(SocleError, match="socle vault unseal"):
        vault.prepare(people)
    assert vault.unseal(people, lambda asked: iter(typed(place, asked))) == ("one",)
    with pytest.raises(SocleError, match="socle vault configure"):
        vault.prepare(people)
    assert vault.configure(people, lambda asked: iter(typed(place, asked)))
    assert vault.prepare(people), "the secrets need no custodian"
    assert not vault.prepare(people)


def test_custodians_may_come_one_after_another(place: Place) -> None:
    vault.initialise(place)
    first, second, _third = shares(place)
    with pytest.raises(SocleError, match="1 shares are missing") as caught:
        vault.unseal(place, lambda _asked: iter([first]))
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert vault.unseal(place, lambda _asked: iter([second])) == ("one",)


def test_who_has_no_share_leaves_those_that_were_given(place: Place) -> None:
    people = of_people(place)
    vault.initialise(people)
    first, second, _third = shares(place)
    with pytest.raises(SocleError, match="1 shares are missing"):
        vault.unseal(people, lambda _asked: iter([first]))
    with pytest.raises(SocleError, match="2 custodians are needed"):
        vault.prepare(people)
    assert vault.unseal(people, lambda _asked: iter([second])) == ("one",)


def test_the_same_share_twice_is_not_a_quorum(place: Place) -> None:
    vault.prepare(place)
    (first,) = shares(place, 1)
    with pytest.raises(SocleError, match="already been provided"):
        quorum.generate(place, lambda _asked: iter([first, first]), custody.ask(place, "test", "test"))


def test_wrong_shares_are_told_and_do_not_hinder(place: Place) -> None:
    vault.initialise(place)
    wrong = ["ab" * 33, "cd" * 33]
    with pytest.raises(SocleError, match="the shares are not right") as caught:
        vault.unseal(place, lambda _asked: iter(wrong))
    assert "\n" not in str(caught.value)
    vault.prepare(place)
    with pytest.raises(quorum.WrongSharesError):
        quorum.generate(place, lambda _asked: iter(wrong), custody.ask(place, "test", "test"))
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        assert speaker.is_authenticated()


def test_rekey_makes_the_former_shares_useless(place: Place) -> None:
    vault.prepare(place)
    former = shares(place)
    vault.rekey(place, custody.shares_of(place), custody.shares_of(place), lambda _line: None)
    assert not set(former) & set(shares(place))
    with pytest.raises(quorum.WrongSharesError):
        quorum.generate(place, lambda _asked: iter(former), custody.ask(place, "test", "test"))
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        assert speaker.is_authenticated()


def test_rekey_replaces_a_custodian_who_left(place: Place) -> None:
    vault.prepare(place)
    others = replace(place, custodians=(*CUSTODIANS[:2], replace(CUSTODIANS[2], login="dee.test")))
    vault.rekey(others, custody.shares_of(place), custody.shares_of(others), lambda _line: None)
    assert set(custody.record(place)["shares"]) == {"ann.test", "bob.test", "dee.test"}


@pytest.mark.parametrize("moment", ["answer", "verification", "last file"])
def test_rekey_killed_leaves_one_set_that_works(
    place: Place, server: Server, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    vault.prepare(place)
    former = shares(place)

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    steps = {
        "answer": (durable, "write_json"),
        "verification": (ceremony, "_verify"),
        "last file": (ceremony, "_promote"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*steps[moment], killed)
        with pytest.raises(KeyboardInterrupt):
            vault.rekey(place, custody.shares_of(place), custody.shares_of(place), lambda _line: None)
    if moment == "verification":
        server.stop()
        server.start()
        vault.unseal(place, lambda _asked: iter(former))
    vault.rekey(place, custody.shares_of(place), custody.shares_of(place), lambda _line: None)
    assert "next" not in custody.record(place)
    with quorum.root(place, custody.shares_of(place), "test") as speaker:
        assert speaker.is_authenticated()


def test_a_wrong_share_after_a_kill_loses_none_that_are_in_force(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    vault.prepare(place)
    former = shares(place)
    with monkeypatch.context() as patch:
        patch.setattr(ceremony, "_promote", killed)
        with pytest.raises(KeyboardInterrupt):
            vault.rekey(place, custody.shares_of(place), custody.shares_of(place), lambda _line: None)
    coming = custody.record(place)["next"]
    mixed = [*typed(place, Ask("", "", coming["shares"]), 1), former[1]]
    with pytest.raises(quorum.WrongSharesError):
        vault.rekey(place, lambda _asked: iter(former), lambda _asked: iter(mixed), lambda _line: None)
    assert custody.record(place)["next"] == coming
    vault.rekey(place, custody.shares_of(place), custody.shares_of(place), lambda _line: None)
    assert custody.record(place)["shares"] == coming["shares"]


def test_new_shares_that_a_later_rekey_replaces_are_kept(place: Place, server: Server) -> None:
    vault.prepare(place)
    with pytest.raises(SocleError, match="too few"):
        vault.rekey(place, custody.shares_of(place), lambda _asked: iter(()), lambda _line: None)
    replaced = custody.record(place)
    server.restart()
    vault.unseal(place)
    vault.rekey(place, custody.shares_of(place), custody.shares_of(place), lambda _line: None)
    (kept,) = place.folder.glob("former-*.json")
    assert durable.read_json(kept) == replaced


def test_shares_in_clear_of_a_former_lab_are_replaced(place: Place) -> None:
    answer = client(place, place.nodes[0]).sys.initialize(3, 2)
    durable.write_json(place.folder / custody.FORMER, {"shares": answer["keys_base64"]})
    vault.prepare(place)
    assert not (place.folder / custody.FORMER).exists()
    assert set(custody.record(place)["shares"]) == {one.login for one in CUSTODIANS}
    assert not client(place, place.nodes[0], answer["root_token"]).is_authenticated()
    assert not vault.prepare(place)


def test_key_that_cannot_be_used_is_refused_before_anything_is_done(place: Place) -> None:
    people = of_people(place)
    damaged = replace(
        people.custodians[0],
        pgp_key=people.custodians[0].pgp_key[:-80] + "\n-----END PGP PUBLIC KEY BLOCK-----",
    )
    with pytest.raises(SocleError, match="the PGP key") as caught:
        vault.initialise(replace(people, custodians=(damaged, *people.custodians[1:])))
    assert caught.value.exit_code == ExitCode.PREREQUISITE
    assert not vault.status(place)[0].initialised


def test_one_key_holds_one_share_however_it_is_armoured(place: Place) -> None:
    people = of_people(place)
    ann, bob, cid = people.custodians
    assert ann.pgp_key
    again = replace(bob, pgp_key=ann.pgp_key.replace("BLOCK-----\n", "BLOCK-----\nComment: Bob\n", 1))
    with pytest.raises(SocleError, match=r"is also that of ann\.test") as caught:
        vault.initialise(replace(people, custodians=(ann, again, cid)))
    assert caught.value.exit_code == ExitCode.INVALID_SITE
    assert not vault.status(place)[0].initialised


def test_expired_and_weak_keys_are_told() -> None:
    with short_folder() as folder:
        ring = pgp.Keyring(folder)
        ring.folder.mkdir(exist_ok=True)
        for kind in ("ed25519", "rsa2048"):
            ring._run(["--passphrase", "", "--quick-generate-key", kind, kind, "default", "1d"])
        signs_only, weak = (ring._run(["--armor", "--export", kind]) for kind in ("ed25519", "rsa2048"))
    assert pgp.inspect(signs_only).fault == "has no valid key to encrypt to"
    assert pgp.inspect(weak).fault in {"is of 2048 bits, 3072 are wanted", "has no valid key to encrypt to"}
    late = [["pub", "-", "256", "22", "", "", "1", "", "", "", "", "scESC"]]
    assert pgp._fault(late) == "is revoked or expired"


def test_without_gnupg_the_error_says_what_to_install(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SocleError, match="apt install gnupg") as caught:
        custody.holders(place)
    assert caught.value.exit_code == ExitCode.PREREQUISITE


def test_initialised_by_somebody_else_is_never_wiped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    client(place, place.nodes[0]).sys.initialize(1, 1)
    monkeypatch.setattr(remote, "reset", lambda *_a: pytest.fail("wiped"))
    with pytest.raises(SocleError, match="sealed"):
        vault.prepare(place)
    assert json.dumps(custody.record(place)) == "{}"


def test_the_path_of_a_keyring_is_told_when_too_long() -> None:
    with pytest.raises(SocleError, match="SOCLE_STATE"):
        pgp.Keyring(Path("/" + "x" * 100)).public("A", "a@b.fr")
