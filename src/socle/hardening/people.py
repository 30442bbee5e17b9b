"""People of ``people.yml`` on hosts: their accounts, the groups of their roles, the sudo rights of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from socle.hardening.rules import load
from socle.site.entrance import AUDIT_ACCOUNT, AUDIT_PROGRAM

GROUP = "socle-people"
"""Everybody who has an account by people.yml."""

AUDIT_RIGHT = f'{AUDIT_PROGRAM} ""'
"""What an audit's account may do by sudo, as sudoers(5) writes it: no argument is admitted."""

NO_ACCOUNT = frozenset({"custodian"})
"""Roles that need no account on a host."""


def group_of(role: str) -> str:
    """The Unix group of a role."""
    return f"socle-{role}"


def accounts_of(people: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The account of each person who works on hosts: full name and groups, by login."""
    found = {}
    for login, person in people.items():
        roles = [role for role in person["roles"] if role not in NO_ACCOUNT]
        if roles:
            found[login] = {"name": person["name"], "groups": [GROUP, *map(group_of, roles)]}
    return found


def sudoers(units: Iterable[str]) -> str:
    """What each role may do by sudo, without a password: the certificate of a few hours proves the person."""
    lines = [
        "# Laid by the role `hardening`: a change here is undone.",
        # Nobody has a password to be asked for: a command that is not named is refused at once, and logged.
        f"Defaults:%{GROUP} !authenticate",
    ]
    for role, commands in load().rights.items():
        named = [
            one
            for command in commands
            for one in ([command.format(unit=unit) for unit in units] if "{unit}" in command else [command])
        ]
        listed = ", \\\n    ".join(_escaped(one) for one in named)
        lines.append(f"%{group_of(role)} ALL=(root:root) NOPASSWD: \\\n    {listed}")
    lines += [
        f"Defaults:{AUDIT_ACCOUNT} !authenticate",
        f"{AUDIT_ACCOUNT} ALL=(root:root) NOPASSWD: {AUDIT_RIGHT}",
    ]
    return "\n".join(lines) + "\n"


def _escaped(command: str) -> str:
    """A command as sudoers(5) writes it."""
    program, _blank, arguments = command.partition(" ")
    for sign in ",:=":
        arguments = arguments.replace(sign, f"\\{sign}")
    return f"{program} {arguments}".rstrip()
