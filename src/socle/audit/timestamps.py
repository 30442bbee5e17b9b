"""Timestamps of RFC 3161 over the signature of a bundle, by the authority of the site or a local one.

A local authority proves the form and the order, not the time to a third party: whoever has this machine has
its key. It is what a lab uses, and reports say so.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import requests

from socle.errors import ExitCode, SocleError
from socle.site.settings import Timestamps

SECONDS = 20
TSA_CONFIGURATION = """\
[tsa]
default_tsa = local
[local]
dir = {folder}
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
certs = $dir/ca.pem
default_policy = 1.3.6.1.4.1.55555.1.1
digests = sha384, sha512
signer_digest = sha384
accuracy = secs:1
ordering = yes
ess_cert_id_alg = sha384
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[end]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-noenc", "-sha384"]


def stamp(settings: Timestamps, folder: Path, signature: Path) -> bytes:
    """The authority's reply for a signature, DER: its signed token, granted, and no other text beside it.

    Args:
        folder: where a local authority keeps its key and serial number.

    Raises:
        SocleError: the authority does not answer (exit code 6), or refuses.
    """
    query = signature.with_name(".timestamp.tsq")
    try:
        _openssl("ts", "-query", "-data", signature, "-sha384", "-cert", "-out", query)
        if settings.url is None:
            return _local(folder, query)
        return _bare(_asked(settings.url, query), query)
    finally:
        query.unlink(missing_ok=True)


def authority(settings: Timestamps, folder: Path, site: Path) -> Path:
    """The certificate by which timestamps are verified, PEM; a local authority has it since its first one."""
    if settings.url is None:
        return folder / "ca.pem"
    return site / (settings.ca_file or "")


def _asked(url: str, query: Path) -> bytes:
    try:
        answer = requests.post(
            url, query.read_bytes(), headers={"Content-Type": "application/timestamp-query"}, timeout=SECONDS
        )
        answer.raise_for_status()
    except requests.RequestException as error:
        raise SocleError(
            f"the timestamp authority does not answer ({type(error).__name__})",
            where=url,
            write="run the audit again when it does; nothing was signed",
            exit_code=ExitCode.UNREACHABLE,
        ) from error
    return answer.content


def _bare(answer: bytes, query: Path) -> bytes:
    """A reply without the text that nobody signed: many authorities greet there, verifiers refuse it."""
    reply, token = query.with_name(".timestamp.new"), query.with_name(".timestamp.token")
    try:
        reply.write_bytes(answer)
        _openssl("ts", "-reply", "-in", reply, "-token_out", "-out", token)
        _openssl("ts", "-reply", "-in", token, "-token_in", "-out", reply)
        return reply.read_bytes()
    finally:
        reply.unlink(missing_ok=True)
        token.unlink(missing_ok=True)


def _local(folder: Path, query: Path) -> bytes:
    _made(folder)
    reply = query.with_name(".timestamp.new")
    try:
        _openssl("ts", "-reply", "-config", folder / "tsa.cnf", "-queryfile", query, "-out", reply)
        return reply.read_bytes()
    finally:
        reply.unlink(missing_ok=True)


def _made(folder: Path) -> None:
    """See that the local authority exists. Its key is made in this folder and stays there."""
    if (folder / "tsa.pem").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    configuration = folder / "tsa.cnf"
    configuration.write_text(TSA_CONFIGURATION.format(folder=folder), encoding="utf-8")
    (folder / "serial").write_text("01\n", encoding="utf-8")
    ca, key = folder / "ca.pem", folder / "ca.key"
    common: list[str | Path] = ["-config", configuration, "-days", "3650"]
    subject = "/O=Socle/CN=Horodatage local"
    _openssl("req", "-x509", *EC, *common, "-extensions", "ca", "-subj", subject, "-keyout", key, "-out", ca)
    end: list[str | Path] = [
        *EC,
        *common,
        "-extensions",
        "end",
        "-subj",
        f"{subject} (signataire)",
        "-CA",
        ca,
        "-CAkey",
        key,
    ]
    _openssl("req", "-x509", *end, "-keyout", folder / "tsa.key", "-out", folder / ".tsa.new")
    # First the key: killed in between, the authority is made anew, and no key of one stays.
    key.unlink()
    (folder / ".tsa.new").replace(folder / "tsa.pem")


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["?"]
        raise SocleError(f"openssl {words[0]}: {lines[-1]}", exit_code=ExitCode.PREREQUISITE)
