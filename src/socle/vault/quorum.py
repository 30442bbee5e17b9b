"""Root tokens: made by a quorum of custodians, in nobody's hands, dead when the work is done."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest

from socle.errors import ExitCode, SocleError
from socle.vault import pgp
from socle.vault.api import client, plainly
from socle.vault.custody import Ask, Shares, ask, holders
from socle.vault.place import Place
from socle.vault.seal import active_node


@contextmanager
def root(place: Place, shares: Shares, purpose: str, command: str = "configure") -> Iterator[Any]:
    """A client with a root token that only this process knows; at the end every root token is revoked.

    The first one, which ``init`` gave encrypted to a custodian, dies in the same way without ever having been
    read; so does one whose process was killed.

    Raises:
        SocleError: too few shares, a wrong one, or OpenBao is sealed or does not answer.
    """
    with plainly(place):
        token = generate(place, shares, ask(place, purpose, command))
        speaker = client(place, active_node(place), token)
    try:
        yield speaker
    finally:
        with plainly(place):
            revoke_all(speaker)


def generate(place: Place, shares: Shares, asked: Ask) -> str:
    """A root token in clear, for this process alone: it comes masked by a password of one use."""
    answer, otp = _gather(place, shares, asked, {})
    encoded = answer["encoded_token"]
    mixed = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(mixed, otp.encode(), strict=True)).decode()


def generate_for(place: Place, shares: Shares, login: str) -> str:
    """A root token in an armoured PGP message to one custodian: for an emergency.

    Raises:
        SocleError: no custodian of that name, or as ``root``.
    """
    keys = {one.login: one.key for one in holders(place)}
    if login not in keys:
        raise SocleError(f"`{login}` is no custodian", expected=", ".join(keys), exit_code=ExitCode.USAGE)
    asked = ask(place, f"a root token is made for {login}", f"break-glass {login}")
    with plainly(place):
        answer, _otp = _gather(place, shares, asked, {"pgp_key": keys[login]})
    return pgp.armour(answer["encoded_token"])


def _gather(place: Place, shares: Shares, asked: Ask, body: dict[str, str]) -> tuple[Any, str]:
    speaker = client(place, active_node(place))
    speaker.sys.cancel_root_generation()
    attempt = speaker.adapter.put("/v1/sys/generate-root/attempt", json=body)
    try:
        for share in shares(asked):
            answer = speaker.sys.generate_root(share, attempt["nonce"])
            if answer["complete"]:
                return answer, attempt["otp"]
    except InvalidRequest as error:
        speaker.sys.cancel_root_generation()
        raise WrongSharesError.of(error) from error
    speaker.sys.cancel_root_generation()
    raise too_few(place)


class WrongSharesError(SocleError):
    """OpenBao did not take the shares; it cannot know which of them is wrong."""

    @classmethod
    def of(cls, error: InvalidRequest) -> WrongSharesError:
        """From the refusal."""
        reason = "; ".join(str(e) for e in error.errors or [error])
        return cls(
            f"the shares are not right: {reason}",
            expected="what each custodian's message decrypts to",
            write="begin again",
        )


def too_few(place: Place) -> SocleError:
    """No more shares came."""
    return SocleError("too few shares", expected=f"{place.threshold} different ones", write="begin again")


def revoke_all(speaker: Any) -> None:
    """Revoke every root token; the one in use last."""
    own = speaker.auth.token.lookup_self()["data"]["accessor"]
    for accessor in speaker.list("auth/token/accessors")["data"]["keys"]:
        if accessor != own and _is_root(speaker, accessor):
            speaker.auth.token.revoke_accessor(accessor)
    speaker.auth.token.revoke_self()


def _is_root(speaker: Any, accessor: str) -> bool:
    try:
        found = speaker.auth.token.lookup_accessor(accessor)
    except (InvalidPath, InvalidRequest, Forbidden):
        return False  # it expired since it was listed
    return "root" in found["data"]["policies"]
