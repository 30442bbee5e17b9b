#!/usr/bin/python
"""Wait until services answer: all checks of a role in one execution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ready
short_description: Wait until URLs, ports, sockets and commands answer
description:
  - Tries all checks, again and again those that have not passed, until all have or the time is over.
  - Each check has exactly one of O(checks[].url), O(checks[].tcp), O(checks[].unix) and O(checks[].command).
  - Changes nothing. In check mode nothing is waited for, since what would be started does not run yet.
options:
  checks:
    description: What must answer.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: How an error calls the check; by default what it tries., type: str}
      url:
        description: Address that must answer with one of the statuses; redirections are not followed.
        type: str
      status:
        description: Statuses that count as ready; by default all from 200 to 399.
        type: list
        elements: int
      ca_file:
        description: PEM file of the authorities to trust; by default those of the system.
        type: path
      tcp: {description: C(host:port) that must accept a connection., type: str}
      unix: {description: Path of a Unix socket that must accept a connection., type: path}
      command: {description: Program and arguments that must end with status 0., type: list, elements: str}
  timeout: {description: Seconds for all checks together., type: int, default: 60}
"""

EXAMPLES = r"""
- name: The database answers
  ready:
    checks:
      - {name: MariaDB, unix: /run/mysqld/mysqld.sock}
"""

RETURN = r"""
waited: {description: Seconds until all checks passed., type: float, returned: always}
"""

import http.client
import socket
import ssl
import subprocess
import time
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

KINDS = ("url", "tcp", "unix", "command")
ATTEMPT = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


class NotReadyError(Exception):
    """Why a check did not pass this time."""


def try_url(check):
    parts = urlsplit(check["url"])
    connection = connect(parts, check["ca_file"])
    path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        status = connection.getresponse().status
    finally:
        connection.close()
    if status not in (check["status"] or range(200, 400)):
        raise NotReadyError(f"HTTP status {status}")


def connect(parts, ca_file):
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=ATTEMPT, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=ATTEMPT)


def try_tcp(check):
    host, _colon, port = check["tcp"].rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=ATTEMPT).close()


def try_unix(check):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(ATTEMPT)
        stream.connect(check["unix"])


def try_command(check):
    done = subprocess.run(
        check["command"], stdin=subprocess.DEVNULL, capture_output=True, timeout=ATTEMPT, check=False
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise NotReadyError(f"status {done.returncode}" + (f": {said[-1]}" if said else ""))


TRIES = {"url": try_url, "tcp": try_tcp, "unix": try_unix, "command": try_command}


def kind(check):
    return next(kind for kind in KINDS if check[kind])


def reason(check):
    """None when the check passes, else why it does not."""
    try:
        TRIES[kind(check)](check)
    except subprocess.TimeoutExpired:
        return f"no end after {ATTEMPT:.0f} s"
    except (OSError, http.client.HTTPException, NotReadyError) as error:
        return str(error) or type(error).__name__
    return None


def label(check):
    what = check[kind(check)]
    what = " ".join(what) if isinstance(what, list) else what
    return "{} ({})".format(check["name"], what) if check["name"] else what


def wait(checks, timeout):
    """The reasons of the checks that have not passed when the time is over; empty when all have."""
    end, pause = time.monotonic() + timeout, FIRST_PAUSE
    while True:
        failures = [(check, why) for check in checks for why in [reason(check)] if why]
        if not failures or time.monotonic() + pause > end:
            return failures
        checks = [check for check, _why in failures]
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def main():
    module = AnsibleModule(
        argument_spec={
            "checks": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str"},
                    "url": {"type": "str"},
                    "status": {"type": "list", "elements": "int"},
                    "ca_file": {"type": "path"},
                    "tcp": {"type": "str"},
                    "unix": {"type": "path"},
                    "command": {"type": "list", "elements": "str"},
                },
                "mutually_exclusive": [KINDS],
                "required_one_of": [KINDS],
            },
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, waited=0.0, msg="Nothing is waited for in check mode")
    begun = time.monotonic()
    failures = wait(module.params["checks"], module.params["timeout"])
    waited = round(time.monotonic() - begun, 1)
    if failures:
        lines = [f"{label(check)}: not ready after {waited} s: {why}" for check, why in failures]
        module.fail_json(msg="\n".join(lines), waited=waited)
    module.exit_json(changed=False, waited=waited)


if __name__ == "__main__":
    main()
