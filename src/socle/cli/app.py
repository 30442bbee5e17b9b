"""The command line: global options, sub-commands, and one place where errors become lines and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import click
import typer
from rich.console import Console

from socle import __version__, site
from socle.errors import ExitCode, SocleError
from socle.paths import project_root, state_dir
from socle.site import Site, SiteErrors

INTERRUPTED = 130
EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the site's files are not valid, 4 something that the machine must have "
    "is missing, 5 another run holds the lock, 6 a node does not answer or OpenBao is sealed."
)

app = typer.Typer(
    name="socle",
    help="Make bare Debian machines into a cloud whose keys are yours, and its tenants from one file each.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@dataclass(frozen=True)
class Options:
    """What is said before the sub-command."""

    folder: Path
    json: bool

    def load(self) -> Site:
        """The site, checked."""
        return site.load(self.folder)


out = Console(soft_wrap=False)
err = Console(stderr=True)


def options(context: typer.Context) -> Options:
    """The global options of this call."""
    found = context.find_object(Options)
    if found is None:
        raise SocleError("no options", exit_code=ExitCode.USAGE)
    return found


def _folder(name: str) -> Path:
    return Path(name) if os.sep in name or name == "." else project_root() / "inventories" / name


@app.callback()
def start(
    context: typer.Context,
    site_name: Annotated[
        str,
        typer.Option("--site", envvar="SOCLE_SITE", metavar="SITE", help="A name in inventories/, or a site folder."),
    ] = "lab",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Read the options that all commands share."""
    if version:
        out.print(__version__)
        raise typer.Exit
    context.obj = Options(_folder(site_name), json)


def main() -> None:
    """Run the command; whatever goes wrong ends as a line on standard error and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """As ``main``, and return the exit code."""
    import socle.cli.commands  # noqa: F401, PLC0415 - registers the sub-commands

    command = typer.main.get_command(app)
    try:
        result = command.main(arguments, prog_name="socle", standalone_mode=False)
    except SiteErrors as errors:
        say(str(errors))
        return ExitCode.INVALID_SITE
    except SocleError as error:
        say(str(error))
        return error.exit_code
    except click.exceptions.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.exceptions.Abort, KeyboardInterrupt):
        say("interrupted; the same command goes on from here")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: a line for the person, the details in a file
        say(f"unexpected {type(error).__name__}: {error}; details in {_details(error)}")
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.OK


def say(text: str) -> None:
    """Print plain text on standard error, as it is."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def _details(error: Exception) -> Path:
    folder = state_dir("errors")
    path = folder / f"{datetime.now().astimezone():%Y%m%dT%H%M%S}.txt"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    path.chmod(0o600)
    return path
