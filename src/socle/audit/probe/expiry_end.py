"""A host's certificate of some seconds, shown to the host's own TLS listeners while it lives and afterwards.

Only the standard library: the audit sends this file through SSH and appends the call. The host's own
program for certificates logs in to OpenBao; key and certificate stay in a folder of memory that is removed
at the end.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import socket
import ssl
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROGRAM = "/usr/local/sbin/socle-certificates"
LIFE = 20
"""Seconds; the first round of handshakes must fit in."""
PATIENCE = 2.0
"""Seconds until a listener that says nothing has taken the certificate: it waits for a request."""
LONG_PATIENCE = 10.0
"""The same for one that must refuse: a hypervisor that is busy takes seconds to say so."""
CONNECTING = 5.0
SILENT = "silent"


def shown(places: list[dict[str, Any]]) -> dict[str, Any]:
    """What each listener (``subject``, ``address``, ``port``) says to the certificate: alive, then expired.

    Returns:
        by subject ``alive`` and ``expired``, each ``accepted``, ``refused`` or ``silent`` (nobody listens).

    Raises:
        Exception: OpenBao does not sign (the program's ``Failure``), or ``TimeoutError``: the certificate
            expired before the first round ended.
    """
    with tempfile.TemporaryDirectory(dir="/run") as name:
        folder = Path(name)
        expires = issue(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(folder / "crt", folder / "key")
        alive = answers(places, context, PATIENCE)
        if time.time() >= expires:
            raise TimeoutError("le certificat est échu avant la fin des premières poignées de main")
        time.sleep(expires + 1 - time.time())
        expired = answers(places, context, LONG_PATIENCE)
    return {subject: {"alive": alive[subject], "expired": expired[subject]} for subject in alive}


def certificates() -> Any:
    """The host's program for certificates, as a module."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("socle_certificates", PROGRAM)
    program = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(loader.name, loader))
    loader.exec_module(program)
    return program


def issue(folder: Path) -> float:
    """A key and its certificate in a folder; when the certificate expires, in seconds since 1970."""
    program = certificates()
    settings = json.loads((program.FOLDER / "certificates.json").read_text())
    trust = program.ROOT.read_text()
    name = settings["certificates"][0]["names"][0]
    key = folder / "key"
    key.touch(0o600)
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    key.write_text(program.run("openssl", "genpkey", *curve))
    csr = program.run("openssl", "req", "-new", "-key", key, "-subj", f"/CN={name}")
    asked = {"csr": csr, "alt_names": name, "ttl": f"{LIFE}s"}
    token = program.log_in(settings, trust)
    signed = program.call(settings, f"pki_services/sign/{settings['role']}", trust, token, asked)["data"]
    chain = [signed["certificate"], *signed["ca_chain"]]
    (folder / "crt").write_text("".join(pem.strip() + "\n" for pem in chain))
    return float(signed["expiration"])


def answers(places: list[dict[str, Any]], context: ssl.SSLContext, patience: float) -> dict[str, str]:
    """What each listener says now, by its subject."""
    with ThreadPoolExecutor(len(places)) as pool:
        said = pool.map(lambda place: answer(place, context, patience), places)
        return {place["subject"]: one for place, one in zip(places, said, strict=True)}


def answer(place: dict[str, Any], context: ssl.SSLContext, patience: float) -> str:
    """``accepted``, ``refused`` or ``silent``; with TLS 1.3 a listener refuses after the handshake."""
    try:
        plain = socket.create_connection((place["address"], place["port"]), CONNECTING)
    except OSError:
        return SILENT
    with plain:
        try:
            with context.wrap_socket(plain) as tls:
                tls.settimeout(patience)
                return "refused" if tls.recv(1) == b"" else "accepted"
        except TimeoutError:
            return "accepted"
        except (ssl.SSLError, ConnectionError):
            return "refused"
