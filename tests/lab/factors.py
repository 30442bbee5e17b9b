"""What an authenticator shows, and logins at Keystone with one factor or both."""

from __future__ import annotations

import base64
import hmac
import struct
import time
from typing import Any

import requests

from socle import tenants
from tests.lab.deployed import Lab

PERIOD = 30


def code(seed: str, ahead: int = 0) -> str:
    """The code of now, or of another time step (RFC 6238 4.2, RFC 4226 5.3; HMAC-SHA-1, six digits).

    Args:
        seed: base32.
    """
    counter = struct.pack(">Q", int(time.time()) // PERIOD + ahead)
    mac = hmac.digest(base64.b32decode(seed), counter, "sha1")
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def log_in(
    lab: Lab, name: str, domain: str, password: str | None = None, passcode: str | None = None
) -> requests.Response:
    """Keystone's answer to a login with what is given, in the project that is named like the domain."""
    user = {"name": name, "domain": {"name": domain}}
    given = {"password": {"password": password}, "totp": {"passcode": passcode}}
    identity: dict[str, Any] = {
        method: {"user": user | factor}
        for method, factor in given.items()
        if next(iter(factor.values())) is not None
    }
    identity["methods"] = list(identity)
    address = f"{tenants.session_of(lab.site).auth_url}/auth/tokens"
    return requests.post(address, json={"auth": {"identity": identity}}, timeout=30, verify=str(lab.ca_file))
