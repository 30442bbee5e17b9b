"""``socle ssh``: a person's session on a node, by a certificate of a few hours."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from socle import catalogue, vault
from socle.cli.app import app, examples, options
from socle.errors import ExitCode, SocleError
from socle.site import Host, Site
from socle.site.entrance import KNOWN_HOSTS
from socle.vault import ssh
from socle.vault.api import client, plainly
from socle.vault.place import Place
from socle.vault.seal import active_node

TOKEN = "BAO_TOKEN"  # noqa: S105 - the name of a variable


@app.command(
    name="ssh",
    epilog=examples("socle ssh ctl1", "socle ssh cmp1 sudo systemctl --no-pager --failed"),
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def open_session(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="Run this instead of a session.")
    ] = None,
) -> None:
    """Open a session on a node under your own name, or run one command there; ends with its exit code.

    Asks OpenBao for a certificate of a few hours for a key that exists as long as the session. Log in to
    OpenBao first; BAO_TOKEN is what says who you are.

    Exit codes: 2 no such node, 4 nobody is logged in, 6 OpenBao does not answer or is sealed.
    """
    site = options(context).load()
    host = _host(site, node)
    place = vault.place_of(site, catalogue.load())
    speaker, login = _logged_in(place)
    role = _role(site, login)
    with tempfile.TemporaryDirectory(prefix="socle-ssh-") as folder:
        key = ssh.new_key(Path(folder), login)
        public = key.with_name(f"{key.name}.pub").read_text(encoding="ascii")
        ssh.keep_certificate(key, ssh.sign(place, speaker, role, public, login))
        done = subprocess.run(_command(place, host, login, key, command or []), check=False)
    raise typer.Exit(done.returncode)


def _host(site: Site, name: str) -> Host:
    if name not in site.hosts:
        expected = ", ".join(site.hosts)
        raise SocleError(f"no node {name}", expected=expected, exit_code=ExitCode.USAGE)
    return site.hosts[name]


def _logged_in(place: Place) -> tuple[Any, str]:
    """A client with the person's token, and who the person is."""
    token = os.environ.get(TOKEN)
    if not token:
        raise SocleError(
            "nobody is logged in to OpenBao",
            where=TOKEN,
            write=f"export {TOKEN}=$(socle vault login YOUR-NAME)",
            exit_code=ExitCode.PREREQUISITE,
        )
    speaker = client(place, active_node(place), token)
    with plainly(place):
        facts = speaker.auth.token.lookup_self()["data"]
    return speaker, str((facts.get("meta") or {}).get("username", ""))


def _role(site: Site, login: str) -> str:
    """The first role of a person that opens sessions on nodes."""
    person = site.people.people.get(login)
    for role in person.roles if person else ():
        if role in ssh.HOURS:
            return role
    raise SocleError(
        f"{login or 'this token'} has no account on nodes",
        where=str(site.folder / "people.yml"),
        expected=f"a person with one of the roles {', '.join(ssh.HOURS)}",
        exit_code=ExitCode.PREREQUISITE,
    )


def _command(place: Place, host: Host, login: str, key: Path, command: list[str]) -> list[str]:
    """The command line of ssh; only the site's authority says which hosts are known."""
    settings = [
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={place.state / KNOWN_HOSTS}",
        "GlobalKnownHostsFile=/dev/null",
        f"HostKeyAlias={host.name}",
        "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com",
    ]
    given = [word for setting in settings for word in ("-o", setting)]
    return ["ssh", "-F", "none", *given, "-i", str(key), "-l", login, host.address, *command]
