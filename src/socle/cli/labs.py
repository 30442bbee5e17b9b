"""``socle lab``: the whole site as containers on this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.table import Table

from socle.cli.app import app, options, out
from socle.errors import ExitCode, SocleError
from socle.lab import Lab

lab_app = typer.Typer(help="The site's nodes as containers on this machine.", no_args_is_help=True)
app.add_typer(lab_app, name="lab")


def _lab(context: typer.Context) -> Lab:
    if os.geteuid() != 0:
        raise SocleError("the lab needs root", write="run it with sudo", exit_code=ExitCode.PREREQUISITE)
    return Lab.of(options(context).load())


def _tell(line: str) -> None:
    out.print(line, highlight=False, markup=False)


@lab_app.command()
def up(context: typer.Context) -> None:
    """Make or start the nodes; those that run are left alone.

    The first time installs what the machine lacks and builds the nodes' layers: about five minutes on two
    cores.
    """
    _lab(context).up(_tell)


@lab_app.command()
def down(context: typer.Context) -> None:
    """Stop the nodes and remove bridges, mounts and cgroups; disks are kept."""
    _lab(context).down(_tell)


@lab_app.command()
def reset(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the nodes and delete their disks, and what this machine knew of their OpenBao and stacks."""
    if not yes:
        typer.confirm("Delete the disks of all nodes of the lab?", abort=True)
    lab = _lab(context)
    lab.reset(_tell)
    _forget(lab)


@lab_app.command()
def status(context: typer.Context) -> None:
    """Show what each node does."""
    nodes = _lab(context).status()
    if options(context).json:
        out.print_json(data=[vars(node) for node in nodes])
        return
    table = Table("node", "groups", "address", "state", "memory")
    for node in nodes:
        memory = f"{node.memory_mib} MiB" if node.state == "running" else ""
        table.add_row(node.name, ", ".join(node.groups), node.address, node.state, memory)
    out.print(table)


@lab_app.command()
def shell(
    context: typer.Context,
    node: str,
    command: Annotated[list[str] | None, typer.Argument(help="Run this instead of a session.")] = None,
) -> None:
    """Open a session on a node.

    Example: [bold]socle lab shell ctl1 sudo journalctl -u keystone[/bold]
    """
    raise typer.Exit(_lab(context).shell(node, command))


def _forget(lab: Lab) -> None:
    """Without the nodes, the keys of their OpenBao and the states of their stacks describe nothing."""
    import shutil  # noqa: PLC0415

    for name in ("vault", "stacks"):
        shutil.rmtree(lab.state / name, ignore_errors=True)
    (lab.state / "ca.pem").unlink(missing_ok=True)
