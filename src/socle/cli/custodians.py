"""``socle vault``: the custody of OpenBao, done with the people who hold its shares."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from socle import catalogue, vault
from socle.cli.app import app, examples, options, out, say
from socle.cli.watching import show_sections
from socle.deploy import lock
from socle.deploy.status.openbao import openbao_section
from socle.errors import ExitCode, SocleError
from socle.vault import custody, people, pgp, qrcode, quorum, snapshots
from socle.vault.place import Place

vault_app = typer.Typer(help="OpenBao's seal, its custodians and the people it knows.", no_args_is_help=True)
app.add_typer(vault_app, name="vault")


def place_of(context: typer.Context) -> Place:
    """The site's OpenBao."""
    return vault.place_of(options(context).load(), catalogue.load())


def shares_of(place: Place) -> custody.Shares:
    """Where shares come from: custodians at this terminal, or those whose parts the machine plays."""
    if place.custody == "test-custodians":
        return lambda asked: custody.played(place, asked)
    return prompted


def prompted(asked: custody.Ask) -> Iterator[str]:
    """Decrypted shares from the terminal, unseen, or line by line from standard input; an empty one ends.

    They are never arguments: those are seen by every account of the machine (proc(5)).
    """
    holders = f" (one of {', '.join(asked.shares)})" if asked.shares else ""
    say(f"{asked.purpose}: each custodian{holders} gives what their message decrypts to; empty to stop")
    while share := secret_line("Share: "):
        yield share


def secret_line(prompt: str) -> str:
    """A line that nobody sees; empty at the end of the input."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt).strip()
    return sys.stdin.readline().strip()


def tell(line: str) -> None:
    """One plain line."""
    out.print(line, highlight=False, markup=False, soft_wrap=True)


@vault_app.command(epilog=examples("socle vault init", "socle --site mine vault init --yes"))
def init(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask about the keys' fingerprints.")] = False,
) -> None:
    """Initialise OpenBao and split its seal among the custodians of people.yml.

    Each share is encrypted by OpenBao itself to its custodian's PGP key. No share and no root token is ever
    seen in clear. Hand each custodian the message that `socle vault share` prints.

    Exit codes: 4 a custodian's PGP key is of no use, or GnuPG is missing; 5 another run holds the lock; 6
    OpenBao does not answer.
    """
    place = place_of(context)
    for holder in custody.holders(place):
        tell(f"{holder.login}: {holder.fingerprint}")
    if not yes:
        typer.confirm("Has each custodian compared this fingerprint with their own?", abort=True)
    with lock.hold(place.state / "lock"):
        done = vault.initialise(place)
    if done:
        tell(f"OpenBao is initialised: {place.shares} shares, {place.threshold} open it")
        tell("Give each custodian their message: `socle vault share LOGIN`; then `socle vault unseal`")
    else:
        tell("OpenBao was initialised before; nothing is changed")


@vault_app.command(epilog=examples("socle vault status", "socle vault status --json"))
def status(context: typer.Context) -> None:
    """Show the seal of each node, the audit devices with the room they have, and who holds the shares.

    Exit code: 1 a node is sealed or does not answer, or an audit device does not record or soon cannot.
    """
    given = options(context)
    site = given.load()
    sections = openbao_section(site, catalogue.load())
    place = vault.place_of(site, catalogue.load())
    held = {login: share["fingerprint"] for login, share in custody.record(place).get("shares", {}).items()}
    show_sections(site, sections, {"custodians": held, "threshold": place.threshold}, as_json=given.json)
    if not given.json:
        tell(f"{place.threshold} of these open it: {', '.join(held) or 'nobody holds a share yet'}")
    raise typer.Exit(ExitCode.OK if all(section.well for section in sections) else ExitCode.FAILED)


@vault_app.command(
    epilog=examples("socle vault share elise.fontaine", "socle vault share elise.fontaine --new")
)
def share(
    context: typer.Context,
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="A custodian of people.yml.")],
    new: Annotated[bool, typer.Option("--new", help="The one of a rekey that is not finished.")] = False,
) -> None:
    """Print the message that holds a custodian's share; only their PGP key opens it (`gpg --decrypt`)."""
    kept = custody.record(place_of(context))
    shares = (kept.get("next", {}) if new else kept).get("shares", {})
    if login not in shares:
        raise SocleError(
            f"there is no {'new ' if new else ''}share of {login}",
            expected=", ".join(shares) or "`socle vault init` first",
            exit_code=ExitCode.USAGE,
        )
    sys.stdout.write(pgp.armour(shares[login]["message"]))


@vault_app.command(epilog=examples("socle vault unseal", "gpg -d share.asc | socle vault unseal"))
def unseal(context: typer.Context) -> None:
    """Unseal OpenBao with shares that custodians type, or that come on standard input one a line.

    Nodes keep what they were given: custodians may come one after another, also to several terminals.

    Exit code: 6 shares are missing still, or OpenBao does not answer.
    """
    place = place_of(context)
    opened = vault.unseal(place, shares_of(place))
    tell(f"OpenBao is unsealed on {', '.join(opened)}" if opened else "OpenBao is not sealed")


@vault_app.command(epilog=examples("socle vault configure", "socle vault configure --again"))
def configure(
    context: typer.Context,
    again: Annotated[
        bool, typer.Option("--again", help="Also when the files are the same: undo what was written by hand.")
    ] = False,
) -> None:
    """Bring policies, authorities and logins to what the site's files say, allowed by a quorum of custodians.

    The root token that they make lives for the length of this command, in its memory. All root tokens are
    revoked at its end. Asks for nothing when the site's files have not changed.

    With --again everything is written anew; policies, AppRoles, accounts and identity groups that nobody
    declared are deleted. It leaves secrets engines, login methods, SSH roles, second factors and settings of
    mounts that nobody declared: remove those with `bao` and a token of `socle vault break-glass`.

    Exit codes: 5 another run holds the lock; 6 OpenBao is sealed or does not answer.
    """
    place = place_of(context)
    with lock.hold(place.state / "lock"):
        done = vault.configure(place, shares_of(place), again=again)
    tell("OpenBao is configured and its root token revoked" if done else "OpenBao is as the files say")


@vault_app.command(epilog=examples("socle vault rekey"))
def rekey(context: typer.Context) -> None:
    """Make new shares for the custodians of people.yml; the former ones become useless.

    A quorum of the former custodians allows it. A quorum of the new ones must read theirs before they come
    into force (`socle vault share --new LOGIN`, from another terminal). Can be killed: the same command goes
    on where it was, and one set of shares works at any time.

    Exit codes: 4 a custodian's PGP key is of no use; 5 another run holds the lock; 6 OpenBao is sealed.
    """
    place = place_of(context)
    former = custody.shares_of(place) if (place.folder / custody.FORMER).exists() else shares_of(place)
    with lock.hold(place.state / "lock"):
        vault.rekey(place, former, shares_of(place), tell)
    tell(f"OpenBao has new shares for {', '.join(c.login for c in place.custodians)}; the former are useless")


@vault_app.command(epilog=examples("socle vault enrol jean.caron"))
def enrol(
    context: typer.Context,
    login: Annotated[str, typer.Argument(metavar="PERSON", help="A login of people.yml.")],
) -> None:
    """Give a person their account in OpenBao: a password of their own and a second factor (TOTP).

    A quorum of custodians allows it, so nobody alone can become somebody else. Shows the authenticator's
    address and QR code once. What the person had before is dead: password, second factor, sessions.

    On standard input: the password first, then the shares, one a line.

    Exit codes: 2 nobody of that name, or the password is too short; 5 another run holds the lock; 6 OpenBao
    is sealed.
    """
    place = place_of(context)
    password = new_password(login)
    with lock.hold(place.state / "lock"):
        made = people.enrol(place, shares_of(place), login, password)
    hand_over(login, made)


def hand_over(login: str, made: people.Enrolment) -> None:
    """Show the authenticator's address and QR code of somebody who was enrolled, once."""
    tell(f"{login} is enrolled. Let the authenticator read this now; it is not shown again:")
    sys.stdout.write(qrcode.drawn(made.picture))
    tell(made.url)


def new_password(login: str) -> str:
    """A password, typed twice when somebody types."""
    password = secret_line(f"New password of {login}: ")
    if sys.stdin.isatty() and password != secret_line("Once more: "):
        raise SocleError("the two passwords differ", write="begin again", exit_code=ExitCode.USAGE)
    return password


@vault_app.command(epilog=examples("export BAO_TOKEN=$(socle vault login jean.caron)"))
def login(
    context: typer.Context,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="A login of people.yml.")],
) -> None:
    """Log in to OpenBao with password and code, and print a token of one hour for the `bao` command."""
    place = place_of(context)
    password = secret_line("Password: ")
    speaker = people.log_in(place, person, password, secret_line("Code: "))
    sys.stdout.write(f"{speaker.token}\n")


@vault_app.command(epilog=examples("socle vault snapshot /srv/backups/openbao.snap"))
def snapshot(
    context: typer.Context, file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False)]
) -> None:
    """Write a copy of OpenBao's storage to a file, and see that it is whole.

    It is encrypted: only the custodians of today open what is made from it. Keep the messages that
    `socle vault share` prints with it.

    Exit code: 6 OpenBao is sealed or does not answer.
    """
    size = snapshots.take(place_of(context), file)
    tell(f"{file}: {size} bytes, whole")


@vault_app.command(epilog=examples("socle vault restore /srv/backups/openbao.snap"))
def restore(
    context: typer.Context, file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False)]
) -> None:
    """Make a fresh OpenBao from a snapshot, and unseal it with the custodians of that time.

    Refused unless all nodes are empty. Can be killed: the same command begins again. People, policies and
    this machine's login are those of the snapshot until `socle vault configure`.

    Exit codes: 1 the file is damaged or OpenBao is not empty; 5 another run holds the lock; 6 shares are
    missing still.
    """
    place = place_of(context)
    with lock.hold(place.state / "lock"):
        snapshots.restore(place, file, shares_of(place), tell)
    tell("OpenBao is restored and unsealed; `socle vault configure` brings it to what the site's files say")


@vault_app.command(
    name="break-glass",
    epilog=examples("socle vault break-glass elise.fontaine", "socle vault break-glass --end"),
)
def break_glass(
    context: typer.Context,
    login: Annotated[str | None, typer.Argument(metavar="CUSTODIAN", help="Who gets the token.")] = None,
    end: Annotated[bool, typer.Option("--end", help="Revoke every root token.")] = False,
) -> None:
    """Make a root token for one custodian, as a message to their PGP key, allowed by a quorum.

    It has no end of its own: `--end` revokes every root token, allowed by a quorum too.

    Exit codes: 2 no custodian of that name; 6 OpenBao is sealed or does not answer.
    """
    place = place_of(context)
    if end == bool(login):
        raise SocleError("name a custodian, or write `--end`", exit_code=ExitCode.USAGE)
    if login:
        sys.stdout.write(quorum.generate_for(place, shares_of(place), login))
        return
    with quorum.root(place, shares_of(place), "root tokens are revoked", "break-glass --end"):
        pass
    tell("every root token is revoked")
