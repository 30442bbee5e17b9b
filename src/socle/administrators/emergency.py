"""Keystone's account `admin`, open for a while when no administrator gets in: by a quorum of custodians."""

from __future__ import annotations

import secrets

from socle.errors import ExitCode, SocleError
from socle.site import Site
from socle.vault import pgp, remote
from socle.vault.custody import Shares, holders
from socle.vault.place import Place
from socle.vault.quorum import root

PROGRAM = "sudo -n /usr/local/sbin/socle-keystone-admin"


def open_admin(site: Site, place: Place, shares: Shares, login: str, minutes: int) -> str:
    """Open `admin` on the first controller, with a password that only one custodian can read.

    It works while Keystone lets nobody in. A clock on the controller closes the account again, whatever
    becomes of this machine.

    Returns:
        The password in an armoured PGP message.

    Raises:
        SocleError: no custodian of that name, the quorum is not there, or the controller does not answer.
    """
    keys = {one.login: one.key for one in holders(place)}
    if login not in keys:
        raise SocleError(f"`{login}` is no custodian", expected=", ".join(keys), exit_code=ExitCode.USAGE)
    password = secrets.token_urlsafe(32)
    message = pgp.encrypt(keys[login], f"{password}\n")
    purpose = f"admin of Keystone opens for {login} for {minutes} minutes"
    with root(place, shares, purpose, f"break-glass {login}"):
        remote.run(place, _controller(site), f"{PROGRAM} open {minutes}", f"{password}\n")
    return message


def close_admin(site: Site, place: Place) -> None:
    """Close it before its time; its tokens die with that. Needs no quorum: to close is always allowed."""
    remote.run(place, _controller(site), f"{PROGRAM} close")


def _controller(site: Site) -> remote.Machine:
    return next(host for host in site.hosts.values() if "controllers" in host.groups)
