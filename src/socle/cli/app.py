"""The command line: options that all commands share, and the place where errors become lines and codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from socle import __version__
from socle.errors import ExitCode, SocleError
from socle.paths import project_root, state_dir
from socle.site import Site, SiteErrors, load

INTERRUPTED = 130
HELP = """Make bare Debian machines into a cloud whose keys are yours, and its tenants from one file each.

A site is a folder of YAML files (inventories/lab is the lab on this machine). Every command reads the whole
folder first and says everything that is wrong with it.
"""
EPILOG = """[bold]Examples[/bold]

  socle validate

  socle --site modele-gip validate

  socle deploy --only nova

  socle status --json

[bold]Exit codes[/bold]

  0  done, or nothing to do

  1  failed; the line says where and what to do

  2  wrong usage

  3  the site's files are not valid

  4  something that a machine must have is missing

  5  another run holds the lock

  6  a node does not answer, or OpenBao is sealed

  130  interrupted

[bold]Files[/bold]

  /var/lib/socle/SITE: states, journal, keys; must be kept (another place: SOCLE_STATE)

  /var/cache/socle: binaries, layers, images; can be deleted (another place: SOCLE_CACHE)
"""
MODULES = {
    "validate": "sites",
    "flows": "sites",
    "plan": "planning",
    "deploy": "deploying",
    "journal": "deploying",
    "status": "watching",
    "lab": "labs",
    "logs": "centrallogs",
    "tenant": "tenancy",
    "tools": "toolbox",
    "ssh": "machines",
    "vault": "rotating",
    "cloud": "administering",
    "audit": "daily",
    "sbom": "supplying",
    "release": "supplying",
    "vulnerabilities": "vulnerabilities",
}
"""Which module has each command: only that one is loaded, the libraries of others take seconds."""

app = typer.Typer(
    name="socle",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True)
class Options:
    """What is said for every command."""

    site: str
    json: bool

    def load(self) -> Site:
        """The site, checked."""
        return load(_folder(self.site))

    @property
    def progress(self) -> Console:
        """Where to say what goes on: not where JSON is printed."""
        return err if self.json else out


WIDTH = None if sys.stdout.isatty() else 160
"""Of tables: the terminal's; of what is piped elsewhere, as wide as a log may be."""

out = Console(width=WIDTH, markup=False, emoji=False)
err = Console(stderr=True, markup=False, emoji=False)
"""Text is shown as it is: names come from files and from the cloud. What has a style is a ``Text``."""


def options(context: typer.Context) -> Options:
    """The shared options of this call."""
    found = context.find_object(Options)
    if found is None:
        raise SocleError("no options", exit_code=ExitCode.USAGE)
    return found


def examples(*commands: str) -> str:
    """The end of a command's help."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  {command}" for command in commands)


def site_names() -> list[str]:
    """The sites of ``inventories/``, for completion."""
    return sorted(path.parent.name for path in (project_root() / "inventories").glob("*/site.yml"))


@app.callback()
def start(
    context: typer.Context,
    site_name: Annotated[
        str,
        typer.Option(
            "--site",
            envvar="SOCLE_SITE",
            metavar="SITE",
            help="A name in inventories/, or the path of a site folder.",
            autocompletion=site_names,
        ),
    ] = "lab",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Read the options that all commands share; they may also stand after the command."""
    if version:
        out.print(__version__, highlight=False)
        raise typer.Exit
    context.obj = Options(site_name, json)


def main() -> None:
    """Run the command; whatever goes wrong ends as a line on standard error and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """As ``main``, and return the exit code."""
    words = shared_first(arguments)
    try:
        for module in _modules(words):
            import_module(f"socle.cli.{module}")
        command = flowing(typer.main.get_command(app))
        result = command.main(list(words), prog_name="socle", standalone_mode=False)
        if result == INTERRUPTED:
            raise KeyboardInterrupt
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort: nobody reads tracebacks
        return _tell(error)
    return result if isinstance(result, int) else ExitCode.OK


def _tell(error: BaseException) -> int:
    """Say what went wrong as a line, and return the exit code."""
    code: int = ExitCode.FAILED
    match error:
        case SiteErrors() | SocleError():
            code = error.exit_code
            say(str(error))
        case typer.TyperException():
            code = ExitCode.USAGE
            say(f"{error.format_message().rstrip('.')}; see `{_command_of(error)} --help`")
        case typer.Abort() | KeyboardInterrupt():
            code = INTERRUPTED
            say("interrupted; the same command goes on from here")
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        case OSError():
            say(_system(error))
        case _:
            what = f"unexpected {type(error).__name__} at {_place(error)}: {_short(error)}"
            say(f"{what}; the details are in {_details(error)}")
    return code


def flowing(command: Any) -> Any:
    """The command, and those below it, with the paragraphs of their help free of the source's line ends."""
    if command.help:
        paragraphs = cleandoc(command.help).split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for below in getattr(command, "commands", {}).values():
        flowing(below)
    return command


def shared_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``--json`` and ``--site`` before the command, wherever they stood.

    What follows ``--``, or the node of ``lab shell``, belongs to another command and is left alone.
    """
    shared: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--" or rest[-2:-1] == ["shell"] or (rest[:1] == ["ssh"] and rest[-1:] != ["ssh"]):
            rest += [word, *words]
        elif word == "--json" or word.startswith("--site="):
            shared.append(word)
        elif word == "--site":
            shared += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            rest.append(word)
    return [*shared, *rest]


def say(text: str) -> None:
    """Print plain text on standard error, as it is."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def good(text: str) -> None:
    """Print, after a mark, that all is well."""
    out.print(Text.assemble(("✓", "green"), f" {text}"), highlight=False)


def _place(error: BaseException) -> str:
    """The last line of the kit's own code that the error came through."""
    kit = Path(__file__).parents[2]
    frames = [(Path(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    ours = [(path, line) for path, line in frames if path.is_relative_to(kit)] or frames
    path, line = ours[-1]
    return f"{path.relative_to(kit) if path.is_relative_to(kit) else path}:{line}"


def _command_of(error: typer.TyperException) -> str:
    """The command that was used wrongly, as far as it was understood."""
    return getattr(getattr(error, "ctx", None), "command_path", "socle")


def _modules(words: Sequence[str]) -> list[str]:
    """The modules that the command needs; all of them for the help and the completion."""
    said = [word for before, word in zip(["", *words], words, strict=False) if before != "--site"]
    named = [MODULES[word] for word in said if word in MODULES][:1]
    return named or sorted(set(MODULES.values()))


def _folder(name: str) -> Path:
    is_path = os.sep in name or name in {".", ".."}
    folder = Path(name) if is_path else project_root() / "inventories" / name
    try:
        there = (folder / "site.yml").is_file()
    except OSError:
        there = True  # what keeps it from being read is said when it is read
    if not there:
        raise SocleError(
            "is no site folder: it has no site.yml",
            where=str(folder),
            expected=f"a path, or one of {', '.join(site_names())}",
            exit_code=ExitCode.USAGE,
        )
    return folder.resolve()


def _system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:200] or "no message"


def _details(error: BaseException) -> Path:
    folder = state_dir("errors")
    path = folder / f"{datetime.now().astimezone():%Y%m%dT%H%M%S}.txt"
    path.touch(mode=0o600)
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return path
