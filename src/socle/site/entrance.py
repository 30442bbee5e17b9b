"""How the deploying machine comes in to nodes: a certificate of hours, renewed by whatever opens a session.

``ssh`` itself asks for a new one before it connects, by a line of the site's ``ssh_config``. So every path
has one: the kit's commands, Ansible, and ``ssh -F``.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from socle import durable
from socle.paths import state_dir
from socle.site import Site

KEY_FILE = "id_ed25519"
CERTIFICATE_FILE = f"{KEY_FILE}-cert.pub"
AUTHORITY_FILE = "ssh_user_authority.pub"
KNOWN_HOSTS = "known_hosts_authority"
SETTINGS_FILE = "ssh_config"
HEAD = "# Written by socle; a change here is lost.\n"

AUDIT_ACCOUNT = "socle-audit"
"""By which an audit reads a host: it comes in by a certificate of minutes and can do one thing."""
AUDIT_PROGRAM = "/usr/local/libexec/socle-audit"
"""That thing, by sudo: root's, without arguments."""
AUDIT_COMMAND = f"/usr/bin/sudo -n {AUDIT_PROGRAM}"

ASKING = "SOCLE_ASKS_FOR_CERTIFICATE"
"""Set in the environment of what asks OpenBao, which may open a session itself."""
FRESH_MINUTES = 120
"""A certificate of this age is good for as long again; an older one is renewed."""
NO_CERTIFICATE = "no new SSH certificate: "
"""How the line begins that says why."""
OWN_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def renewing(folder: Path, state: Path, patterns: Iterable[str]) -> str:
    """The line of ``ssh_config`` that renews the certificate before a session is opened; it costs 3 ms.

    Args:
        folder: the site's.
        state: its state folder.
        patterns: names and addresses of the nodes.
    """
    authority, certificate = (shlex.quote(str(state / name)) for name in (AUTHORITY_FILE, CERTIFICATE_FILE))
    steps = (
        f"test ! -s {authority}",
        f"printenv {ASKING} >/dev/null",
        f"find {certificate} -mmin -{FRESH_MINUTES} 2>/dev/null | grep -q .",
        shlex.join([sys.executable, "-m", "socle.deploy.certificate", str(folder)]),
    )
    command = " || ".join(steps).replace("%", "%%")
    return f'Match originalhost {",".join(patterns)} exec "{command}"\n'


def write_settings(site: Site) -> None:
    """How the deploying machine comes in where nobody said it otherwise: to certified hosts, by certificate.

    The keys of the account that deploys are tried as well: they are what a host knows at first.
    """
    state = state_dir(site.name)
    path = state / SETTINGS_FILE
    if path.exists() and not path.read_text(encoding="utf-8").startswith(HEAD):
        return
    patterns = [word for host in site.hosts.values() for word in (host.name, host.address)]
    hosts = "".join(f"Host {host.name}\n  HostName {host.address}\n\n" for host in site.hosts.values())
    keys = "".join(
        f"  IdentityFile {key}\n" for key in (state / KEY_FILE, *(f"~/.ssh/{k}" for k in OWN_KEYS))
    )
    durable.write(
        path,
        f"{HEAD}{renewing(site.folder, state, patterns)}\n{hosts}Host {' '.join(patterns)}\n"
        f"  User {site.settings.deploy_user}\n{keys}  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n"
        f"  UserKnownHostsFile ~/.ssh/known_hosts {state / KNOWN_HOSTS}\n  LogLevel ERROR\n",
    )


def by_hand(state: Path, name: str, address: object, user: str) -> str:
    """What a person types to come in to a node as the kit does: by its settings, once there are some."""
    config = state / SETTINGS_FILE
    return f"ssh -F {config} {name}" if config.is_file() else f"ssh {user}@{address}"


def user_authority(site: Site) -> str:
    """The public key that signs people's SSH certificates; empty before OpenBao has made it."""
    path = state_dir(site.name) / AUTHORITY_FILE
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""


def trusted_authority(site: Site) -> str:
    """The same once this machine has a certificate of it: a node that knows it refuses every other key."""
    return user_authority(site) if (state_dir(site.name) / CERTIFICATE_FILE).is_file() else ""


def reason(said: str, otherwise: str) -> str:
    """Why no session was opened, from what ``ssh`` printed: the missing certificate, else the last line."""
    lines = said.strip().splitlines()
    missing = [line for line in lines if line.startswith(NO_CERTIFICATE)]
    return "; ".join([*missing[:1], *lines[-1:]]) or otherwise
