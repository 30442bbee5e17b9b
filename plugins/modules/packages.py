#!/usr/bin/python
"""Install all Debian packages of a node in one execution of apt, or do nothing when they are there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Install the Debian packages of a node
description:
  - One query of dpkg tells what is missing. Only when something is, the package lists are fetched and it is
    installed.
  - The daemons of new packages are not started by their installation, since their configuration is still to
    come; D-Bus and polkit are, because others wait for them.
  - An installation that was interrupted is finished first.
options:
  names: {description: Packages that are installed., type: list, elements: str, required: true}
  recommends: {description: Install recommended packages too., type: bool, default: false}
"""

EXAMPLES = r"""
- name: Packages are installed
  packages:
    names: [chrony, nftables]
"""

RETURN = r"""
installed: {description: Packages that were or would be installed., type: list, returned: always}
"""

import os

from ansible.module_utils.basic import AnsibleModule

POLICY = "/usr/sbin/policy-rc.d"
MARK = "# Socle: no daemon is started before its role has configured it."
POLICY_TEXT = f'#!/bin/sh\n{MARK}\ncase "$1" in dbus*|polkit*) exit 0 ;; esac\nexit 101\n'
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "NEEDRESTART_MODE": "l"}
APT = ["apt-get", "--yes", "--quiet", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
KEEP_OURS = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]


def statuses(module):
    """dpkg's status of every package that it knows, and the names of those half-way."""
    command = ["dpkg-query", "--show", "--showformat", "${Package}\\t${db:Status-Status}\\n"]
    code, out, err = module.run_command(command)
    if code != 0:
        module.fail_json(msg=f"dpkg-query: {err.strip()}")
    return dict(line.split("\t") for line in out.splitlines() if "\t" in line)


def run(module, command):
    code, out, err = module.run_command(command, environ_update=ENVIRONMENT)
    if code != 0:
        tail = "\n".join((err.strip() or out.strip()).splitlines()[-8:])
        module.fail_json(msg="{}:\n{}".format(" ".join(command[:1] + command[-1:]), tail))


def hold_daemons():
    """Lay our policy-rc.d unless the machine has its own; return whether it is ours."""
    if os.path.exists(POLICY) and not ours():
        return False
    with open(POLICY, "w") as stream:
        stream.write(POLICY_TEXT)
    os.chmod(POLICY, 0o755)  # noqa: S103 - a program that dpkg runs
    return True


def ours():
    try:
        with open(POLICY) as stream:
            return MARK in stream.read()
    except OSError:
        return False


def release_daemons():
    if ours():
        os.unlink(POLICY)


def install(module, missing, half_way):
    hold_daemons()
    try:
        if half_way:
            run(module, ["dpkg", "--configure", "--pending", "--force-confdef", "--force-confold"])
        if missing:
            run(module, [*APT, "-o", "APT::Update::Error-Mode=any", "update"])
            recommends = [] if module.params["recommends"] else ["--no-install-recommends"]
            run(module, APT + KEEP_OURS + recommends + ["install", "--"] + missing)
    finally:
        release_daemons()


def main():
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "recommends": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    known = statuses(module)
    missing = sorted(name for name in set(module.params["names"]) if known.get(name) != "installed")
    unfinished = ("unpacked", "half-configured", "triggers-awaited", "triggers-pending")
    half_way = sorted(name for name, status in known.items() if status in unfinished)
    if not module.check_mode:
        if missing or half_way:
            install(module, missing, half_way)
        else:
            release_daemons()
    difference = "".join(name + "\n" for name in missing)
    module.exit_json(
        changed=bool(missing or half_way),
        installed=missing,
        diff={"before": "", "after": difference, "after_header": "packages"} if difference else {},
    )


if __name__ == "__main__":
    main()
