"""``socle cloud``: the provider's own people at Keystone, and its emergency account."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from socle import vault
from socle.cli.app import app, examples, options
from socle.cli.custodians import hand_over, new_password, place_of, shares_of, tell
from socle.deploy import lock
from socle.errors import ExitCode, SocleError

cloud_app = typer.Typer(help="The provider's administrators at Keystone.", no_args_is_help=True)
app.add_typer(cloud_app, name="cloud")


@cloud_app.command(epilog=examples("socle cloud enrol denis.operator"))
def enrol(
    context: typer.Context,
    login: Annotated[str, typer.Argument(metavar="PERSON", help="A login of people.yml.")],
) -> None:
    """Give an operator or auditor of people.yml an account at Keystone: password and second factor (TOTP).

    A quorum of custodians allows it, so nobody alone can become somebody else. Shows the authenticator's
    address and QR code once. What the person had before is dead: password, second factor, tokens, application
    credentials. Who is not in people.yml any more is removed by the next deployment.

    On standard input: the password first, then the shares, one a line.

    Exit codes: 2 nobody of that name with work in the cloud, or the password is too short; 5 another run
    holds the lock; 6 OpenBao is sealed, or the cloud does not answer.
    """
    from socle import tenants  # noqa: PLC0415 - Pulumi takes seconds to load
    from socle.administrators import enrolment  # noqa: PLC0415

    site, place = options(context).load(), place_of(context)
    password = new_password(login)
    with lock.hold(place.state / "lock"):
        made = enrolment.enrol(tenants.session_of(site), place, shares_of(place), login, password)
    hand_over(login, made)


@cloud_app.command(
    name="break-glass",
    epilog=examples("socle cloud break-glass alice.custodian --minutes 30", "socle cloud break-glass --end"),
)
def break_glass(
    context: typer.Context,
    login: Annotated[str | None, typer.Argument(metavar="CUSTODIAN", help="Who gets the password.")] = None,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=240, help="How long it is open.")] = 30,
    end: Annotated[bool, typer.Option("--end", help="Close it now.")] = False,
) -> None:
    """Open Keystone's account `admin` for a while, its new password as a message to one custodian's PGP key.

    A quorum of custodians allows it. It is closed when the time is over, by `--end`, and by each deployment.

    Exit codes: 2 no custodian of that name; 6 OpenBao is sealed, or the first controller does not answer.
    """
    from socle.administrators import emergency  # noqa: PLC0415

    site, place = options(context).load(), place_of(context)
    if end == bool(login):
        raise SocleError("name a custodian, or write `--end`", exit_code=ExitCode.USAGE)
    vault.ssh_certificate(place)
    if login:
        sys.stdout.write(emergency.open_admin(site, place, shares_of(place), login, minutes))
        return
    emergency.close_admin(site, place)
    tell("admin is closed")
