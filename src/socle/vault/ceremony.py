"""The ceremonies: OpenBao is initialised, and its shares are made anew, for the custodians of people.yml."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hvac.exceptions import InvalidRequest

from socle import durable
from socle.errors import SocleError
from socle.vault import quorum, remote
from socle.vault.api import client, plainly
from socle.vault.custody import FORMER, RECORD, Ask, Holder, Shares, ask, encrypted, holders, record
from socle.vault.login import deployer
from socle.vault.place import Place
from socle.vault.seal import active_node, reasons, status, wait
from socle.vault.trust import unreachable

PENDING = "initialising"
RESTORING = "restoring"


def initialise(place: Place) -> bool:
    """Initialise OpenBao unless it is, each share encrypted to its custodian; true when this call did.

    The answer exists only once. So the intent is on disk before the request, and the answer before anything
    else is done. After a kill in between, the intent is still there and the shares are not: nobody ever had a
    token, so the storage holds nothing and is deleted to begin again.

    Raises:
        SocleError: a custodian's key is of no use, GnuPG is missing (exit code 4), OpenBao does not answer or
            refuses.
    """
    pending = place.folder / PENDING
    states = status(place)
    known = any((place.folder / name).exists() for name in (RECORD, FORMER))
    initialised = any(s.initialised for s in states)
    _refuse_half_restored(place)
    if initialised and (known or not pending.exists()):
        durable.remove(pending)
        return False
    if not all(s.reachable for s in states):
        raise unreachable(place, reasons(states))
    to = holders(place)
    if initialised:
        _reset(place)
    elif known:
        _put_aside(place)
    durable.write(pending, _now() + "\n")
    body = _init_body(place, to)
    with plainly(place):
        try:
            answer = client(place, place.nodes[0]).adapter.put("/v1/sys/init", json=body)
        except InvalidRequest:
            durable.remove(pending)  # nothing was made, and what others make later is not to be deleted
            raise
    messages = answer["recovery_keys_base64" if place.recovers else "keys_base64"]
    kept = {"made": _now(), "shares": encrypted(to, messages), "root_token": answer["root_token"]}
    durable.write_json(place.folder / RECORD, kept)
    durable.remove(pending)
    return True


def _init_body(place: Place, to: tuple[Holder, ...]) -> dict[str, Any]:
    """The root token goes to the first custodian: it is never read, the first configuration revokes it."""
    kind = "recovery" if place.recovers else "secret"
    keys = [one.key for one in to]
    return {
        f"{kind}_shares": place.shares,
        f"{kind}_threshold": place.threshold,
        "recovery_pgp_keys" if place.recovers else "pgp_keys": keys,
        "root_token_pgp_key": keys[0],
    }


def _refuse_half_restored(place: Place) -> None:
    if (place.folder / RESTORING).exists():
        raise SocleError(
            "a restore was interrupted", where=str(place.folder), write="run `socle vault restore` again"
        )


def _reset(place: Place) -> None:
    for node in place.nodes:
        remote.reset(place, node)
    wait(place, lambda states: all(s.reachable and not s.initialised for s in states))


def _put_aside(place: Place) -> None:
    """OpenBao is empty but was not: what belongs to the former one is kept under a name of its own."""
    former = place.folder / _former()
    former.mkdir(mode=0o700)
    for path in sorted(place.folder.iterdir()):
        if path.is_file():
            path.rename(former / path.name)
    if place.ca_file.exists():
        place.ca_file.rename(former / place.ca_file.name)
    durable.sync_folder(place.folder)


def forget_root_token(place: Place) -> None:
    """Drop the message with the first root token, once that is revoked."""
    kept = record(place)
    if kept.pop("root_token", None):
        durable.write_json(place.folder / RECORD, kept)


def rekey(place: Place, former: Shares, new: Shares, tell: Callable[[str], None]) -> None:
    """Give new shares to the custodians of people.yml; the former ones are of no use afterwards.

    OpenBao keeps the former shares in force until the custodians proved that they can read the new ones. The
    new messages are on disk before that, so a kill at any point leaves one set that works; the next call
    finds out which, and goes on from there. Messages that a later rekey replaces are kept beside the record.

    Args:
        former: gives the shares in force.
        new: gives the new shares, decrypted.

    Raises:
        SocleError: too few shares or wrong ones, or a custodian's key is of no use.
    """
    with plainly(place):
        if not (record(place).get("next") and _take_up(place, new)):
            to = holders(place)
            _begin(place, to, former)
            tell(f"the new shares wait for {', '.join(one.login for one in to)}: `socle vault share --new`")
            _verify(place, new)
    _promote(place)


def _begin(place: Place, to: tuple[Holder, ...], former: Shares) -> None:
    _step(place, "delete", "init")
    wanted = {"secret_shares": place.shares, "secret_threshold": place.threshold}
    keys = {"pgp_keys": [one.key for one in to], "backup": False, "require_verification": True}
    attempt = _step(place, "put", "init", {**wanted, **keys})
    try:
        answer = _give(place, "update", attempt["nonce"], former, ask(place, "rekey", "rekey"))
    except InvalidRequest as error:
        raise quorum.WrongSharesError.of(error) from error
    if answer is None:
        _step(place, "delete", "init")
        raise quorum.too_few(place)
    coming = {
        "made": _now(),
        "nonce": answer["verification_nonce"],
        "shares": encrypted(to, answer["keys_base64"]),
    }
    kept = record(place)
    if "next" in kept:
        durable.write_json(place.folder / f"{_former()}.json", kept)
    durable.write_json(place.folder / RECORD, {**kept, "next": coming})


def _verify(place: Place, new: Shares) -> None:
    coming = record(place)["next"]
    asked = Ask("the new shares are proved", "rekey", coming["shares"])
    try:
        answer = _give(place, "verify", coming["nonce"], new, asked)
    except InvalidRequest as error:
        raise quorum.WrongSharesError.of(error) from error
    if answer is None:
        raise quorum.too_few(place)


def _give(place: Place, step: str, nonce: str, shares: Shares, asked: Ask) -> Any:
    """The answer to the last share that was needed; None when too few came."""
    for share in shares(asked):
        answer = _step(place, "put", step, {"key": share, "nonce": nonce})
        if answer.get("complete"):
            return answer
    return None


def _take_up(place: Place, new: Shares) -> bool:
    """Bring a rekey that was interrupted to its end; false when its new shares do not open anything.

    They stay on disk all the same: somebody may have given another share than the one of their new message.
    Whether the former ones are in force is known once OpenBao has taken them.
    """
    try:
        waiting = _step(place, "get", "verify")
    except InvalidRequest:
        waiting = {}
    coming = record(place)["next"]
    if waiting.get("nonce") == coming["nonce"]:
        _verify(place, new)
        return True
    try:
        token = quorum.generate(place, new, Ask("the new shares are tried", "rekey", coming["shares"]))
    except quorum.WrongSharesError:
        return False
    client(place, active_node(place), token).auth.token.revoke_self()
    return True


def _step(place: Place, method: str, step: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request of a rekey, logged in as the deploying machine: nobody else may begin or end one.

    Each has a login of its own, since custodians may take longer than a token lives. The endpoints that do
    the same without a login (``sys/rekey``) are closed on the nodes.
    """
    path = f"/v1/sys/rotate/{place.rekeyed}/{step}"
    answer = deployer(place).adapter.request(method, path, **({"json": body} if body else {}))
    found: dict[str, Any] = answer.get("data", {}) if isinstance(answer, dict) else {}
    return found


def _promote(place: Place) -> None:
    """The new shares are in force: those before them are forgotten, also where they were in clear."""
    coming = record(place)["next"]
    durable.write_json(place.folder / RECORD, {"made": coming["made"], "shares": coming["shares"]})
    durable.remove(place.folder / FORMER)


def _former() -> str:
    """Name of what is kept of a former state of things."""
    return f"former-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
