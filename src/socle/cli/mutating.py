"""``socle audit mutations``: break the lab on purpose, control by control, and see who notices."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from socle import durable
from socle.cli.app import INTERRUPTED, err, options, out
from socle.errors import ExitCode, SocleError

if TYPE_CHECKING:
    from socle.audit.mutating.outcomes import Mutations, Outcome

STYLES = {
    "trouvé": "green",
    "manqué": "bold red",
    "non cassé": "yellow",
    "non réparé": "bold red",
    "pas vert avant": "yellow",
    "non cassable au laboratoire": "dim",
}


def mutations(
    context: typer.Context,
    *,
    control: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many, picked by --seed.")] = None,
    seed: Annotated[int, typer.Option(help="Which ones --sample picks.")] = 0,
    results: Annotated[Path | None, typer.Option(help="Also write the results there, as JSON.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the run of --results; --control tries again.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Break nothing more after so long; the rest is left.")
    ] = None,
) -> None:
    """Break each control's setting on the running lab, see the control turn red, and repair it.

    Only nodes of a lab are broken, one setting of each at a time. What is broken is written down first: after
    a kill, the next start repairs it before anything else. --results is written on the way, so that --resume
    goes on where a run was ended or killed.

    Exit code: 2 the site is no lab; 12 when something is not repaired, 10 when a control missed its setting
    or another turned red with it, 11 when a setting could not be broken, its control was not green before, or
    some are left.
    """
    # The libraries of collectors take seconds to load.
    from socle.audit import controls as control_files  # noqa: PLC0415
    from socle.audit.mutating import running  # noqa: PLC0415

    if control and sample:
        raise SocleError("picks of other controls", where="--sample", exit_code=ExitCode.USAGE)
    if resume and not results:
        raise SocleError("must be given", where="--results", exit_code=ExitCode.USAGE)
    given = options(context)
    site = given.load()
    until = time.monotonic() + minutes * 60 if minutes is not None else None
    chosen = [control_files.named(name) for name in dict.fromkeys(control or control_files.load())]
    if sample:
        chosen = running.sample(chosen, sample, seed)
    earlier = _earlier(results, site.name) if resume and results else None
    if earlier and not control:
        tried = {outcome.control for outcome in earlier.outcomes}
        chosen = [one for one in chosen if one.id not in tried]

    every = list(control_files.load())

    def whole(so_far: Mutations) -> Mutations:
        return (so_far.after(earlier) if earlier else so_far).ordered(every)

    def record(so_far: Mutations) -> None:
        if results:
            durable.write(results, _text(whole(so_far)))

    picked_by = seed if sample else None
    done = running.mutate(site, chosen, _say, _tell, seed=picked_by, record=record, until=until)
    record(done)
    result = whole(done)
    if given.json:
        out.print_json(_text(result))
    else:
        show(result)
    raise typer.Exit(INTERRUPTED if result.interrupted and not result.broken else result.exit_code)


def _text(result: Mutations) -> str:
    return json.dumps(result.as_json(), ensure_ascii=False, indent=1) + "\n"


def _earlier(results: Path, site: str) -> Mutations | None:
    """The run to go on after, if there was one."""
    from socle.audit.mutating.outcomes import Mutations  # noqa: PLC0415

    if not results.exists():
        return None
    try:
        earlier = Mutations.of_json(durable.read_json(results))
    except (KeyError, TypeError, ValueError) as error:
        raise SocleError("does not hold results of mutations", where=str(results)) from error
    if earlier.site != site:
        raise SocleError(f"holds results of {earlier.site}", where=str(results))
    return earlier


def show(result: Mutations) -> None:
    """The result on a screen: every control that was broken, then numbers."""
    table = Table("contrôle", "hôte", "résultat", "ce qui a été lu", "rougis avec", title="Mutations")
    table.title_justify = "left"
    for outcome in result.outcomes:
        if outcome.node:
            style = STYLES[outcome.result.value]
            table.add_row(
                outcome.control,
                outcome.node,
                Text(outcome.result.value, style=style),
                outcome.detail,
                ", ".join(outcome.also),
            )
    out.print(table)
    for line in result.changed:
        _bad(f"{line} a rougi alors que tout était réparé")
    for line in result.broken:
        _bad(f"encore cassé : {line}")
    if result.left:
        out.print(f"{len(result.left)} pas encore éprouvés", highlight=False)
    told = [f"{count} {name.value}" for name, count in result.counts.items()]
    side = sum(bool(outcome.also) for outcome in result.outcomes)
    out.print(", ".join([*told, f"{side} avec d’autres rouges"]), highlight=False)


def _bad(line: str) -> None:
    out.print(line, style="bold red", markup=False, highlight=False, soft_wrap=True)


def _say(line: str) -> None:
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def _tell(outcome: Outcome) -> None:
    also = f", rougis avec : {', '.join(outcome.also)}" if outcome.also else ""
    _say(f"{outcome.control} ({outcome.node}): {outcome.result.value} — {outcome.detail}{also}")
