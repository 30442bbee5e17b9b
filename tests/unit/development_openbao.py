"""A server of OpenBao for development: in memory, unsealed, with TLS, on a free port of the loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac

from socle.tools import binary

SECONDS = 30


@dataclass(frozen=True)
class Development:
    """Where it is, whom to trust, and a client with its root token."""

    url: str
    trust: Path
    root: Any


@contextmanager
def running(folder: Path) -> Iterator[Development]:
    """The server, with transit mounted."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("-dev", "-dev-tls", "-dev-root-token-id=root", "-dev-no-store-token")
    place = (f"-dev-tls-cert-dir={folder}", f"-dev-listen-address=127.0.0.1:{port}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(binary("bao")), "server", *options, *place], stdout=log, stderr=log)
    try:
        yield _ready(folder, f"https://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


def _ready(folder: Path, url: str) -> Development:
    """Wait until it takes a request."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            trust = next(iter(folder.glob("*ca.pem")))
            root = hvac.Client(url, token="root", verify=str(trust))
            root.sys.enable_secrets_engine("transit")
        except (StopIteration, OSError, hvac.exceptions.VaultError):
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.1)
        else:
            return Development(url, trust, root)
