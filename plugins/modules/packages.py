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
from ansible.module_utils.dpkg import MARK, POLICY, foreign_policy, half_way, holds_daemons, statuses

POLICY_TEXT = f'#!/bin/sh\n{MARK}\ncase "$1" in dbus*|polkit*) exit 0 ;; esac\nexit 101\n'
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "NEEDRESTART_MODE": "l"}
APT = ["apt-get", "--yes", "--quiet", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
KEEP_OURS = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]


def run(module, command, wanted=()):
    code, out, err = module.run_command(command, environ_update=ENVIRONMENT)
    if code != 0:
        tail = "\n".join((err.strip() or out.strip()).splitlines()[-8:])
        why = " (for {})".format(", ".join(wanted)) if wanted else ""
        module.fail_json(msg="{}{}:\n{}".format(" ".join(command[:1] + command[-1:]), why, tail))


def hold_daemons():
    """Lay our policy-rc.d unless the machine has its own."""
    if foreign_policy():
        return
    with open(POLICY, "w") as stream:
        stream.write(POLICY_TEXT)
    os.chmod(POLICY, 0o755)  # noqa: S103 - a program that dpkg runs


def release_daemons():
    if holds_daemons():
        os.unlink(POLICY)


def install(module, missing, unfinished):
    hold_daemons()
    try:
        if unfinished:
            run(module, ["dpkg", "--configure", "--pending", "--force-confdef", "--force-confold"])
        if missing:
            run(module, [*APT, "-o", "APT::Update::Error-Mode=any", "update"], missing)
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
    unfinished = half_way(known)
    if not module.check_mode:
        if missing or unfinished:
            install(module, missing, unfinished)
        else:
            release_daemons()
    difference = "".join(name + "\n" for name in missing)
    module.exit_json(
        changed=bool(missing or unfinished),
        installed=missing,
        diff={"before": "", "after": difference, "after_header": "packages"} if difference else {},
    )


if __name__ == "__main__":
    main()
