"""``socle tools``: the Go binaries of the kit."""

from __future__ import annotations

import typer

from socle import tools
from socle.cli.app import app, err, examples, options, out
from socle.deploy.deployment import BINARIES

tools_app = typer.Typer(
    help="OpenBao, Pulumi and its OpenStack plugin, built from pinned sources.", no_args_is_help=True
)
app.add_typer(tools_app, name="tools")


@tools_app.command(epilog=examples("socle tools build"))
def build(context: typer.Context) -> None:
    """Build the binaries that the cache does not hold, and show where they are.

    About ten minutes on two cores the first time. Reproducible: the same sources give the same SHA-256.

    Exit codes: 4 Go is missing or too old, 6 the module proxy does not answer.
    """
    with err.status("looking into the cache") as line:
        paths = tools.build(BINARIES, lambda progress: line.update(str(progress)))
    if options(context).json:
        out.print_json(data={name: str(path) for name, path in paths.items()})
        return
    for name, path in paths.items():
        out.print(f"{name}: {path}", highlight=False, soft_wrap=True)
