"""OpenPGP: what the custodians' public keys are, and messages to and from them (RFC 4880, by GnuPG)."""

from __future__ import annotations

import base64
import binascii
import shutil
import subprocess
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from socle.errors import ExitCode, SocleError

SECONDS = 60
RSA_BITS = 3072
"""ANSSI, Guide des mécanismes cryptographiques, RègleFact-2: moduli in use beyond 2030."""

RSA = {"1", "2", "3"}
SOCKET_ROOM = 80
"""Length of a home's path: with the name of its agent's socket it must stay below 108 (unix(7))."""


@dataclass(frozen=True)
class PublicKey:
    """What GnuPG says of a public key."""

    fingerprint: str
    fault: str | None
    """Why nothing can be encrypted to it, or nothing should."""


def require() -> str:
    """The path of GnuPG.

    Raises:
        SocleError: it is not installed (exit code 4).
    """
    found = shutil.which("gpg")
    if found is None:
        raise SocleError(
            "GnuPG is not on this machine",
            where="gpg",
            expected="the custodians' PGP keys to be checked",
            write="run `apt install gnupg`",
            exit_code=ExitCode.PREREQUISITE,
        )
    return found


def inspect(armoured: str) -> PublicKey:
    """What a public key is, and whether a share can be encrypted to it.

    Raises:
        SocleError: it cannot be read.
    """
    said = _gpg(["--show-keys", "--with-colons"], armoured)
    rows = [line.split(":") for line in said.splitlines()]
    prints = [row[9] for row in rows if row[0] == "fpr"]
    keys = [row for row in rows if row[0] in {"pub", "sub"}]
    if not prints or sum(row[0] == "pub" for row in keys) != 1:
        raise SocleError("is not one PGP public key", expected="the output of `gpg --export --armor`")
    return PublicKey(prints[0], _fault(keys))


def _fault(keys: list[list[str]]) -> str | None:
    """Fields of ``--with-colons``: 1 validity, 2 bits, 3 algorithm, 6 end, 11 capabilities (doc/DETAILS)."""
    if keys[0][1] in {"r", "e", "i"} or _over(keys[0]):
        return "is revoked or expired"
    usable = [k for k in keys if "e" in k[11] and k[1] not in {"r", "e", "i"} and not _over(k)]
    if not usable:
        return "has no valid key to encrypt to"
    weak = [k[2] for k in usable if k[3] in RSA and int(k[2]) < RSA_BITS]
    return f"is of {weak[0]} bits, {RSA_BITS} are wanted" if weak else None


def _over(key: list[str]) -> bool:
    return bool(key[6]) and int(key[6]) < time.time()


def body(armoured: str) -> str:
    """The content of an armoured block in base64, as OpenBao wants it (RFC 4880 6.2).

    Raises:
        SocleError: it is not base64.
    """
    lines = armoured.strip().replace("\r", "").splitlines()[1:-1]
    content = lines[lines.index("") + 1 :] if "" in lines else lines
    text = "".join(line.strip() for line in content if not line.startswith("="))
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except binascii.Error as error:
        raise SocleError("is damaged: not base64", expected="the output of `gpg --export --armor`") from error


def armour(message: str) -> str:
    """A message that OpenBao gave in base64, as ``gpg --decrypt`` takes it."""
    lines = [*textwrap.wrap(message, 64), "=" + _checksum(base64.b64decode(message))]
    return "\n".join(["-----BEGIN PGP MESSAGE-----", "", *lines, "-----END PGP MESSAGE-----", ""])


def encrypt(key: str, text: str) -> str:
    """A text as an armoured message that only one person reads.

    Args:
        key: the person's public key in base64.

    Raises:
        SocleError: GnuPG is missing, or the key is of no use.
    """
    with tempfile.TemporaryDirectory() as home:
        recipient = Path(home) / "recipient"
        recipient.write_bytes(base64.b64decode(key))
        words = ["--homedir", home, "--armor", "--trust-model", "always", "--recipient-file", str(recipient)]
        return _gpg([*words, "--encrypt"], text)


def _checksum(content: bytes) -> str:
    """CRC-24 (RFC 4880 6.1), without which GnuPG 2.2 does not read every message."""
    crc = 0xB704CE
    for byte in content:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return base64.b64encode((crc & 0xFFFFFF).to_bytes(3)).decode()


class Keyring:
    """The private key of one person of a lab, in a folder of its own, without a passphrase."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def public(self, name: str, email: str) -> str:
        """The public key, armoured; made at the first call: ed25519, and cv25519 to encrypt to.

        Raises:
            SocleError: GnuPG is missing, or the path of the folder is too long for its agent.
        """
        if len(str(self.folder)) > SOCKET_ROOM:
            raise SocleError(
                f"the path is longer than {SOCKET_ROOM} characters: GnuPG's agent cannot listen there",
                where=str(self.folder),
                write="set SOCLE_STATE to a shorter path",
                exit_code=ExitCode.PREREQUISITE,
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = self._run(["--list-secret-keys", "--with-colons"])
        if "\nssb:" not in known:
            user = f"{name} <{email}>"
            words = ["--pinentry-mode", "loopback", "--passphrase", "", "--yes", "--quick-generate-key"]
            self._run([*words, user, "future-default", "default", "never"])
        exported = self._run(["--armor", "--export"])
        self._end_agent()
        return exported

    def decrypt(self, message: str) -> str:
        """The text of an armoured message to this person."""
        text = self._run(["--decrypt"], message)
        self._end_agent()
        return text

    def _run(self, words: list[str], given: str = "") -> str:
        return _gpg(["--homedir", str(self.folder), *words], given)

    def _end_agent(self) -> None:
        command = ["gpgconf", "--homedir", str(self.folder), "--kill", "gpg-agent"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)


def _gpg(words: list[str], given: str) -> str:
    command = [require(), "--batch", "--no-tty", *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise SocleError(f"GnuPG failed: {lines[-1] if lines else f'status {done.returncode}'}")
    return done.stdout
