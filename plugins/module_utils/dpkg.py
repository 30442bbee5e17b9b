"""What dpkg knows of the packages of a node, and whether an installation of ours was interrupted."""

from __future__ import annotations

import os

POLICY = "/usr/sbin/policy-rc.d"
MARK = "# Socle: no daemon is started before its role has configured it."
UNFINISHED = ("unpacked", "half-configured", "triggers-awaited", "triggers-pending")


def statuses(module):
    """dpkg's status of every package that it knows, by name."""
    command = ["dpkg-query", "--show", "--showformat", "${Package}\\t${db:Status-Status}\\n"]
    code, out, err = module.run_command(command)
    if code != 0:
        module.fail_json(msg=f"dpkg-query: {err.strip()}")
    return dict(line.split("\t") for line in out.splitlines() if "\t" in line)


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
