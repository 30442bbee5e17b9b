"""Keystone's API as a module on a controller calls it, with nothing but Python."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

UNAUTHORIZED, SERVER_ERROR = 401, 500


class RefusedError(Exception):
    """Keystone answered with an error."""

    def __init__(self, method, path, code, text):
        super().__init__(f"{method} {path}: {code} {text}")
        self.code = code


class Keystone:
    """Keystone's API v3 with a token, https://docs.openstack.org/api-ref/identity/v3/."""

    def __init__(self, url, timeout=60):
        self.url, self.timeout, self.token = url.rstrip("/") + "/v3", timeout, None

    def call(self, method, path, body=None, token=True):
        """Headers and decoded answer. Raises RefusedError."""
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("X-Auth-Token", self.token)
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=self.timeout) as answer:  # noqa: S310
                text = answer.read()
                return answer.headers, (json.loads(text) if text else {})
        except urllib.error.HTTPError as error:
            raise RefusedError(
                method, path, error.code, error.read()[:300].decode(errors="replace")
            ) from error

    def login(self, name, password, domain, project=None):
        """A token for an account, in a project of its domain or for nothing in particular."""
        user = {"name": name, "domain": domain, "password": password}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
        auth["scope"] = {"project": {"name": project, "domain": domain}} if project else "unscoped"
        headers, _body = self.call("POST", "/auth/tokens", {"auth": auth}, token=False)
        return headers["X-Subject-Token"]

    def get(self, path):
        return self.call("GET", path)[1]


def login(keystone, name, password, place, patience=30):
    """True when the account is let in to a project of its domain; waits while Keystone does not answer."""
    deadline = time.monotonic() + patience
    while True:
        try:
            keystone.token = keystone.login(name, password, *place)
        except RefusedError as refusal:
            if refusal.code == UNAUTHORIZED:
                return False
            if refusal.code < SERVER_ERROR or time.monotonic() > deadline:
                raise
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{keystone.url}: no answer: {error}") from error
        else:
            return True
        time.sleep(0.5)
