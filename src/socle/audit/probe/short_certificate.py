"""A certificate of seconds, shown to this host's listeners while it lives and after: runs on a host, as root.

Only the standard library and the host's own ``socle-certificates``, by which it asks OpenBao as always does.
The key stays in a folder of root that lives as long as this process.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import ssl
import sys
import tempfile
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

PROGRAM = "/usr/local/sbin/socle-certificates"
PATIENCE = 2.0
MARGIN = 3.0


def trials(listeners: list[dict[str, Any]], seconds: int) -> dict[str, Any]:
    """Of each listener (``subject``, ``address``, ``port``), what it says before and after the end."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        context = signed(Path(folder), seconds)
        end = time.time() + seconds
        before = {place["subject"]: shown(context, place) for place in listeners}
        in_time = time.time() < end
        time.sleep(max(0.0, end - time.time()) + MARGIN)
        after = {place["subject"]: shown(context, place) for place in listeners}
    return {"in_time": in_time, "before": before, "after": after}


def signed(folder: Path, seconds: int) -> ssl.SSLContext:
    """A client with a new certificate of this host's names that lives for seconds."""
    program = own_program()
    settings = json.loads((program.FOLDER / "certificates.json").read_text())
    trust = program.ROOT.read_text()
    names = settings["certificates"][0]["names"]
    key, request = folder / "key", folder / "request"
    key.touch(0o600)
    key.write_text(
        program.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    )
    wanted = ("-subj", f"/CN={names[0]}", "-addext", f"subjectAltName=DNS:{names[0]}")
    request.write_text(program.run("openssl", "req", "-new", "-key", key, *wanted))
    token = program.log_in(settings, trust)
    body = {"csr": request.read_text(), "ttl": f"{seconds}s"}
    said = program.call(settings, f"pki_services/sign/{settings['role']}", trust, token, body)["data"]
    chain = folder / "chain"
    chain.write_text("\n".join([said["certificate"], *said["ca_chain"]]))
    context = ssl.create_default_context(cadata=trust)
    context.check_hostname = False  # it is called by its address
    context.load_cert_chain(chain, key)
    return context


def own_program() -> Any:
    """The host's program as a module; nothing of it runs by being loaded."""
    sys.dont_write_bytecode = True
    loader = SourceFileLoader("socle_certificates", PROGRAM)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None  # noqa: S101 - for types: there is a loader
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def shown(context: ssl.SSLContext, place: dict[str, Any]) -> str:
    """``accepted``, ``refused``, or that it is not there. Who takes the certificate waits for words."""
    try:
        plain = socket.create_connection((place["address"], place["port"]), PATIENCE)
    except OSError as error:
        return f"unreachable: {error}"
    try:
        with plain, context.wrap_socket(plain) as tls:
            tls.settimeout(PATIENCE)
            return "accepted" if tls.recv(1) else "refused"
    except TimeoutError:
        return "accepted"
    except (ssl.SSLError, ConnectionError):
        return "refused"
