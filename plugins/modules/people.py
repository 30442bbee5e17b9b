#!/usr/bin/python
"""Accounts of the people of a site on a host, in one execution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: people
short_description: Make the accounts of named people, and lock those of people who left
description:
  - Accounts have no password; groups are exactly those that are named.
  - An account that this module made and that is named no more is locked and expired, and its sessions end.
    Its files stay.
  - An account of the system, or one that somebody else made, is refused before anything is changed.
options:
  accounts:
    description: By login, C(name) and C(groups). The first group marks the accounts of people.
    type: dict
    required: true
  services:
    description:
      - Accounts of programs that come in by SSH, full name by login.
        They have no password, no folder and no group of people.
    type: dict
    default: {}
  group: {description: The group that marks them., type: str, default: socle-people}
"""

EXAMPLES = r"""
- name: People have their accounts
  people:
    accounts: {alice: {name: Alice Martin, groups: [socle-people, socle-operator]}}
"""

RETURN = r"""
actions: {description: What is done., type: list, returned: always}
"""

import grp
import pwd

from ansible.module_utils.basic import AnsibleModule

SHELL = "/bin/bash"
SERVICE_SHELL = "/bin/sh"
NO_SHELL = "/usr/sbin/nologin"
EXPIRED = "1"
# Other numbers are the system's (Debian policy, 9.2.2).
NUMBERS = range(1000, 60001)
# An account without a password has none that grows old: PAM would refuse its certificates one day.
AGELESS = ("--key", "PASS_MAX_DAYS=-1", "--key", "PASS_MIN_DAYS=-1")


class Accounts:
    """What is there, and the commands that change it."""

    def __init__(self, module):
        self.module = module
        self.actions = []

    def run(self, *command, accept=(0,)):
        self.actions.append(" ".join(command))
        if self.module.check_mode:
            return
        code, _out, err = self.module.run_command(list(command))
        if code not in accept:
            self.module.fail_json(msg=f"{command[0]}: {err.strip() or code}")

    def only_people(self, logins, former, mark):
        """Stop before anything is changed when an account is not one that this module made."""
        there = {login: uid for login in logins if (uid := number(login)) is not None}
        system = sorted(login for login, uid in there.items() if uid not in NUMBERS)
        if system:
            say = f"{', '.join(system)}: an account of the system, and no person's; nothing was changed"
            self.module.fail_json(msg=f"{say}; give the person another login, or take it out of {mark}")
        foreign = sorted(set(there) - set(former))
        if foreign:
            say = f"{', '.join(foreign)}: exists and is not in the group {mark}; nothing was changed"
            self.module.fail_json(msg=f"{say}; give the person another login, or remove the account")

    def groups(self, wanted):
        there = {entry.gr_name for entry in grp.getgrall()}
        for name in sorted(wanted - there):
            self.run("groupadd", "--system", name)

    def person(self, login, name, groups):
        try:
            entry = pwd.getpwnam(login)
        except KeyError:
            names = ("--comment", name, "--groups", ",".join(groups))
            self.run(
                "useradd", "--create-home", "--shell", SHELL, "--password", "*", *AGELESS, *names, "--", login
            )
            return
        if members(login) != set(groups):
            self.run("usermod", "--groups", ",".join(groups), "--", login)
        if entry.pw_gecos != name:
            self.run("usermod", "--comment", name, "--", login)
        if entry.pw_shell != SHELL:
            self.run("usermod", "--shell", SHELL, "--expiredate", "", "--", login)

    def service(self, login, name):
        try:
            entry = pwd.getpwnam(login)
        except KeyError:
            home = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", SERVICE_SHELL)
            self.run("useradd", "--system", *home, "--password", "*", "--comment", name, "--", login)
            return
        if members(login):
            self.run("usermod", "--groups", "", "--", login)
        if entry.pw_shell != SERVICE_SHELL:
            self.run("usermod", "--shell", SERVICE_SHELL, "--", login)

    def gone(self, login):
        if pwd.getpwnam(login).pw_shell != NO_SHELL:
            self.run("usermod", "--shell", NO_SHELL, "--expiredate", EXPIRED, "--", login)
        # A run that was killed here left sessions of an account that is locked.
        if self.has_processes(login):
            # 1: no process of that account, any more.
            self.run("pkill", "--signal", "KILL", "--uid", login, accept=(0, 1))

    def has_processes(self, login):
        code, _out, err = self.module.run_command(["pgrep", "--uid", login])
        if code not in (0, 1):
            self.module.fail_json(msg=f"pgrep: {err.strip() or code}")
        return code == 0


def number(login):
    """The uid of an account; none when there is no such account."""
    try:
        return pwd.getpwnam(login).pw_uid
    except KeyError:
        return None


def members(login):
    """Groups that name the account, without its own."""
    return {entry.gr_name for entry in grp.getgrall() if login in entry.gr_mem}


def main():
    module = AnsibleModule(
        argument_spec={
            "accounts": {"type": "dict", "required": True},
            "services": {"type": "dict", "default": {}},
            "group": {"type": "str", "default": "socle-people"},
        },
        supports_check_mode=True,
    )
    wanted, mark = module.params["accounts"], module.params["group"]
    accounts = Accounts(module)
    former = [login for entry in grp.getgrall() if entry.gr_name == mark for login in entry.gr_mem]
    accounts.only_people({*wanted, *former}, former, mark)
    accounts.groups({mark}.union(*(set(account["groups"]) for account in wanted.values())))
    for login, account in sorted(wanted.items()):
        accounts.person(login, account["name"], account["groups"])
    for login, name in sorted(module.params["services"].items()):
        accounts.service(login, name)
    for login in sorted(set(former) - set(wanted)):
        if number(login) is not None:
            accounts.gone(login)
    module.exit_json(changed=bool(accounts.actions), actions=accounts.actions)


if __name__ == "__main__":
    main()
