"""What dpkg knows of the packages of a node, and whether an installation of ours was interrupted."""

from __future__ import annotations

import os
import subprocess

POLICY = "/usr/sbin/policy-rc.d"
MARK = "# Socle: no daemon is started before its role has configured it."
UNFINISHED = ("unpacked", "half-configured", "triggers-awaited", "triggers-pending")


def statuses(module):
    """The status of every package that dpkg knows, by name; its pipe is read to the very end."""
    command = ["dpkg-query", "--show", "--showformat", "${Package}\\t${db:Status-Status}\\n"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        module.fail_json(msg=f"dpkg-query: {done.stderr.strip()}")
    return dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line)


def half_way(known):
    """Packages that dpkg has yet to configure."""
    return sorted(name for name, status in known.items() if status in UNFINISHED)


def holds_daemons():
    """Whether our policy-rc.d is still there: it lies there only while packages are installed."""
    try:
        with open(POLICY) as stream:
            return MARK in stream.read()
    except OSError:
        return False


def foreign_policy():
    """Whether the machine has a policy-rc.d of its own."""
    return os.path.exists(POLICY) and not holds_daemons()
