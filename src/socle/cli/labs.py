"""``socle lab``: the whole site as containers on this machine."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from socle.cli.app import app, examples, options, out
from socle.deploy import lock
from socle.errors import ExitCode, SocleError
from socle.lab import Lab

FORGOTTEN = ("vault", "custodians", "stacks", "logs")
"""Folders of the state that describe nothing once the nodes are gone: the keys of OpenBao and of the test
custodians, the stacks' states, the ends of the logs' chains."""

AUTHORITIES = ("ca.pem", "ssh_user_authority.pub", "known_hosts_authority", "id_ed25519-cert.pub")
"""Files of the state that nodes made anew know nothing of."""

lab_app = typer.Typer(
    help="The nodes of a lab as containers on this machine. Exit code: 2 the site is no lab.",
    no_args_is_help=True,
)
app.add_typer(lab_app, name="lab")


def _lab(context: typer.Context) -> Lab:
    lab = Lab.of(options(context).load())
    if os.geteuid() != 0:
        raise SocleError("the lab needs root", write="run it with sudo", exit_code=ExitCode.PREREQUISITE)
    return lab


def _tell(line: str) -> None:
    out.print(line, highlight=False, markup=False, soft_wrap=True)


@lab_app.command(epilog=examples("socle lab up"))
def up(context: typer.Context) -> None:
    """Make or start the nodes; those that run are left alone.

    The first time installs what the machine lacks and builds the nodes' layers: about five minutes on two
    cores.

    Exit codes: 4 the machine is too small or lacks something, 5 another `socle lab` is at work.
    """
    _lab(context).up(_tell)


@lab_app.command(epilog=examples("socle lab down"))
def down(context: typer.Context) -> None:
    """Stop the nodes and remove bridges, mounts and cgroups; disks are kept."""
    _lab(context).down(_tell)


@lab_app.command(epilog=examples("socle lab reset", "socle lab reset --yes"))
def reset(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the nodes and delete their disks, and what this machine knew of their OpenBao and stacks.

    Exit code: 5 a deployment is at work on them.
    """
    lab = _lab(context)
    if not yes:
        typer.confirm("Delete the disks of all nodes of the lab?", abort=True)
    with lock.hold(lab.state / "lock"):
        lab.reset(_tell)
        for name in FORGOTTEN:
            if (lab.state / name).is_dir():
                shutil.rmtree(lab.state / name)
        for name in AUTHORITIES:
            (lab.state / name).unlink(missing_ok=True)


@lab_app.command(epilog=examples("socle lab status", "socle lab status --json"))
def status(context: typer.Context) -> None:
    """Show what each node does."""
    nodes = _lab(context).status()
    if options(context).json:
        out.print_json(data=[asdict(node) for node in nodes])
        return
    table = Table("node", "groups", "address", "state", "memory", "lacks packages")
    for node in nodes:
        memory = f"{node.memory_mib} MiB" if node.state == "running" else ""
        table.add_row(
            node.name, ", ".join(node.groups), node.address, node.state, memory, ", ".join(node.lacks)
        )
    out.print(table)


@lab_app.command(
    epilog=examples(
        "socle lab shell ctl1",
        "socle lab shell ctl1 sudo journalctl -u keystone",
        "socle lab shell --root ctl1",
    ),
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def shell(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="Run this instead of a session.")
    ] = None,
    as_root: Annotated[bool, typer.Option("--root", help="Enter the container as root, not by SSH.")] = False,
) -> None:
    """Open a session on a node, or run one command there; ends with its exit code.

    With --root as the node's root and without SSH: the way in when OpenBao signs no certificate.
    """
    raise typer.Exit(_lab(context).shell(node, command, as_root=as_root))
