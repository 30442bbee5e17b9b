"""``socle vault rotate``."""

from __future__ import annotations

from typing import Annotated

import typer

from socle import catalogue, vault
from socle.cli.app import examples, options, out
from socle.cli.custodians import tell, vault_app
from socle.deploy.progress import Screen, duration
from socle.deploy.rotation import RotationRun
from socle.errors import ExitCode, SocleError
from socle.vault.rotation_targets import targets


@vault_app.command(
    epilog=examples(
        "socle vault rotate nova/database",
        "socle vault rotate nova",
        "socle vault rotate certificates",
        "socle vault rotate --all",
        "socle vault rotate --list",
    )
)
def rotate(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="What to rotate; a part of a name means all below.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Rotate all that can be.")] = False,
    names: Annotated[bool, typer.Option("--list", help="Say what can be rotated, and stop.")] = False,
) -> None:
    """Replace passwords, keys, certificates and logins while the cloud runs, and prove the old ones dead.

    Servers take the new beside the old, services change one controller after the other, servers drop the old.
    How far it got is in OpenBao: after a kill the same command goes on from there.

    Exit codes: 1 a step failed, 2 nothing has that name, 4 the site must be deployed first, 5 another run
    holds the lock, 6 a node does not answer or OpenBao is sealed.
    """
    given = options(context)
    site = given.load()
    if names:
        known = list(targets(vault.place_of(site, catalogue.load()), catalogue.load()))
        if given.json:
            out.print_json(data=known)
        else:
            tell("\n".join(known))
        return
    if everything == bool(name):
        raise SocleError("name what to rotate, or write `--all`", exit_code=ExitCode.USAGE)
    done = RotationRun(site, Screen(given.progress), name)
    run = done.go()
    rotated = [target.path for target in done.wanted]
    if given.json:
        phases = [{"name": p.name, "seconds": p.seconds, "changed": p.changed} for p in run.phases]
        facts = {"rotated": rotated, "resumed": done.resumed, "seconds": run.seconds, "steps": phases}
        out.print_json(data=facts | {"journal": str(run.folder)})
        return
    tell(f"Rotated in {duration(run.seconds)}: {', '.join(rotated)}")
    if done.resumed:
        tell(f"An interrupted rotation was finished: {', '.join(done.resumed)}")
