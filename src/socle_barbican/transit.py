"""Wrapping of secrets by transit keys of OpenBao: the key never leaves it, only ciphertext comes back."""

from __future__ import annotations

import base64
import binascii
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from socle_barbican.api import FORBIDDEN, NOT_FOUND, OpenBaoError, RefusedError, UnavailableError, ask
from socle_barbican.login import read_login

KEY_TYPE = "aes256-gcm96"
KEY_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\.[0-9a-z-]{1,64}")
"""Name and id of the tenant's domain."""
RENEW_AFTER = 2 / 3
"""Part of a token's life after which it is renewed."""


class KeyGoneError(OpenBaoError):
    """The transit key was deleted: what it wrapped is lost for good."""


class NotItsOwnError(OpenBaoError):
    """The ciphertext was wrapped for another project or by another key, or it was changed."""


@dataclass(frozen=True)
class Settings:
    """Where OpenBao is and how to log in to it."""

    addresses: tuple[str, ...]
    ca_file: str
    login_file: str
    mount: str
    timeout: float
    """Seconds that one node of OpenBao has to answer."""


@dataclass(frozen=True)
class _Token:
    text: str
    renew_at: float
    ends_at: float


class Transit:
    """The transit keys of one mount. Its methods may be called from several threads at once.

    The token lives in memory only, is renewed after two thirds of its life, and asked for anew when OpenBao
    renews it no more or has forgotten it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def ensure_key(self, name: str) -> None:
        """Make the key unless it is there; it cannot be exported.

        Raises:
            UnavailableError, RefusedError: OpenBao does not answer, or does not let this host do so.
        """
        self._call(f"keys/{_checked(name)}", {"type": KEY_TYPE})

    def encrypt(self, name: str, plain: bytes, owner: str) -> bytes:
        """Wrap a secret so that it opens for this owner only.

        Raises:
            KeyGoneError: there is no such key.
            UnavailableError, RefusedError: OpenBao does not answer, or does not let this host do so.
        """
        body = {"plaintext": _text(plain), "associated_data": _text(owner.encode())}
        try:
            answer = self._call(f"encrypt/{_checked(name)}", body)
        except RefusedError as error:
            # Using a key does not make it: the policy denies that, and OpenBao says no more than "denied".
            if _is_missing(error) or (error.status == FORBIDDEN and not self._is_there(name)):
                raise KeyGoneError(f"the key {name} was deleted") from error
            raise
        return str(answer["data"]["ciphertext"]).encode("ascii")

    def decrypt(self, name: str, wrapped: bytes, owner: str) -> bytes:
        """Open what ``encrypt`` made for this owner.

        Raises:
            KeyGoneError: the key was deleted.
            NotItsOwnError: it was not made for this owner with this key.
            UnavailableError, RefusedError: OpenBao does not answer, or does not let this host do so.
        """
        body = {
            "ciphertext": wrapped.decode("ascii", errors="replace"),
            "associated_data": _text(owner.encode()),
        }
        try:
            answer = self._call(f"decrypt/{_checked(name)}", body)
        except RefusedError as error:
            if _is_missing(error):
                raise KeyGoneError(f"the key {name} was deleted") from error
            if error.status == FORBIDDEN:
                raise
            raise NotItsOwnError(f"this is not of {owner}, or was changed, or its key was deleted") from error
        try:
            return base64.b64decode(answer["data"]["plaintext"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise NotItsOwnError("OpenBao's answer is no secret") from None

    def _is_there(self, name: str) -> bool:
        try:
            self._call(f"keys/{_checked(name)}", None)
        except RefusedError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return True

    def _call(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """With the token that is there; once more with a new one when OpenBao knows it no more."""
        whole = f"{self.settings.mount}/{path}"
        token = self._current()
        try:
            return self._ask(whole, body, token.text)
        except RefusedError as error:
            if error.status != FORBIDDEN:
                raise
        return self._ask(whole, body, self._current(refused=token).text)

    def _current(self, refused: _Token | None = None) -> _Token:
        """A token that is good for the next moments; never the one that was refused."""
        if not self._lock.acquire(timeout=self.settings.timeout):
            raise UnavailableError("OpenBao does not answer: another thread is still waiting for a login")
        try:
            token, now = self._token, time.monotonic()
            if token is None or token is refused or now >= token.ends_at:
                token = self._log_in()
            elif now >= token.renew_at:
                token = self._renewed(token)
            self._token = token
            return token
        finally:
            self._lock.release()

    def _log_in(self) -> _Token:
        return _token_of(self._ask("auth/approle/login", read_login(self.settings.login_file), None))

    def _renewed(self, token: _Token) -> _Token:
        """With a new term; a new one when this one has reached its last."""
        try:
            renewed = _token_of(self._ask("auth/token/renew-self", {}, token.text))
        except RefusedError:
            return self._log_in()
        return renewed if renewed.ends_at > token.ends_at else self._log_in()

    def _ask(self, path: str, body: Mapping[str, Any] | None, token: str | None) -> dict[str, Any]:
        try:
            trust = ssl.create_default_context(cafile=self.settings.ca_file)
        except OSError as error:
            raise UnavailableError(f"{self.settings.ca_file} cannot be read: {error.strerror}") from None
        return ask(
            self.settings.addresses, path, body, trust=trust, token=token, timeout=self.settings.timeout
        )


def _token_of(answer: Mapping[str, Any]) -> _Token:
    given, now = answer["auth"], time.monotonic()
    life = float(given["lease_duration"])
    return _Token(str(given["client_token"]), now + life * RENEW_AFTER, now + life)


def _is_missing(error: RefusedError) -> bool:
    return any("encryption key not found" in line for line in error.errors)


def _checked(name: str) -> str:
    if not KEY_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a key")
    return name


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
