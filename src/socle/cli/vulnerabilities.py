"""``socle vulnerabilities``: what is known of the kit and of the nodes, and what has to be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from socle import tools
from socle.cli.app import app, err, examples, options, out
from socle.deploy.deployment import BINARIES
from socle.errors import ExitCode
from socle.site import Site

if TYPE_CHECKING:
    from socle.supply.bom import Component
    from socle.supply.judgement import Judged, Known
    from socle.supply.osv import Record

STYLES = {"exploitable": "bold red", "in_triage": "yellow", "not_affected": "green"}
EXAMPLES = examples(
    "socle vulnerabilities --kit --osv /srv/vulndb/data/osv",
    "socle vulnerabilities --osv /srv/osv --debian-tracker /srv/debian-tracker.json",
)


@app.command(epilog=EXAMPLES)
def vulnerabilities(
    context: typer.Context,
    osv: Annotated[
        Path | None,
        typer.Option(help="Folder of OSV records, JSON; else `vulnerabilities: osv:` of site.yml."),
    ] = None,
    debian_tracker: Annotated[
        Path | None,
        typer.Option(help="JSON of Debian's security tracker; else `debian_tracker:` of site.yml."),
    ] = None,
    kit_only: Annotated[bool, typer.Option("--kit", help="The kit alone: no node is asked.")] = False,
) -> None:
    """Compare what the kit and the nodes are made of with local copies of databases of vulnerabilities.

    Nothing is asked of the network: an operator mirrors the databases (docs/operator/vulnerabilities.md).
    Each known vulnerability of the kit has a statement: what reaches it here, what closes it and the test
    that shows it, or until when it is accepted. What has none is an error, and so is a statement about a
    version that is no longer pinned, one whose test is not there, and a Debian package whose fix is
    published. Without a database only the statements are judged, and that is said.

    Exit codes: 1 something has to be done, 4 a database is not there, 6 a node does not answer.
    """
    given = options(context)
    site = given.load()
    named = site.settings.vulnerabilities
    sources = (
        osv or (site.folder / named.osv if named.osv else None),
        debian_tracker or (site.folder / named.debian_tracker if named.debian_tracker else None),
    )
    with err.status("reading what is in the kit and on the nodes") as line:
        judged, limits = judge_site(site, *sources, nodes=not kit_only, tell=line.update)
    if given.json:
        out.print_json(data=_plain(judged, limits))
    else:
        show_known(judged.known)
        _show_work(judged, limits)
    raise typer.Exit(ExitCode.FAILED if judged.findings else ExitCode.OK)


def judge_site(
    site: Site, osv: Path | None, tracker: Path | None, *, nodes: bool, tell: Any
) -> tuple[Judged, list[str]]:
    """All that is known of the kit, a site's own binaries and its nodes; and what could not be judged."""
    from socle.supply import debian, judgement, sources, statements  # noqa: PLC0415 - load slowly
    from socle.supply import osv as databases  # noqa: PLC0415

    placed = statements.load()
    binaries = tools.build(BINARIES, lambda progress: tell(str(progress)))
    parts: list[Component] = list(sources.kit(binaries)[1])
    own = {name: _own(site, name) for name in BINARIES}
    parts += [
        part for name, path in own.items() if path for part in sources.built(f"{name} of the site", path)
    ]
    hosts = list(site.hosts.values()) if nodes else []
    with ThreadPoolExecutor(8) as pool:
        for _subject, installed in pool.map(lambda host: sources.node(site, host), hosts):
            parts += installed
    parts = sources.merged(parts)
    wanted = [one for part in parts if (one := databases.packaged(part)) is not None]
    records: list[Record] = databases.read(osv, wanted) if osv else []
    records += debian.read(tracker, wanted) if tracker else []
    judged = judgement.judge(parts, records, placed, datetime.now(UTC).date())
    judged = judgement.with_proofs(
        judged, [*statements.unproved(placed), *statements.present(placed, binaries)]
    )
    return judged, _limits(osv, tracker, nodes=nodes)


def _limits(osv: Path | None, tracker: Path | None, *, nodes: bool) -> list[str]:
    told = {
        "Go modules and Python packages, beside what is stated: no OSV database is named": osv is None,
        "Debian packages of the nodes: no copy of Debian's tracker is named": nodes and tracker is None,
        "Debian packages of the nodes: --kit": not nodes,
    }
    return [text for text, holds in told.items() if holds]


def _own(site: Site, name: str) -> Path | None:
    own = getattr(site.settings.binaries, name.replace("-", "_"))
    return tools.resolve(name, tools.BinaryOverride(Path(own.path), own.sha256)) if own else None


def show_known(known: Sequence[Known]) -> None:
    """A table of what is stated, the worst first; what Debian has no fix for yet is counted below it."""
    stated = [one for one in known if one.statement is not None]
    table = Table("vulnerability", "component", "severity", "state", "until", "reached by")
    order = list(STYLES)
    for one in sorted(stated, key=lambda one: (order.index(_state(one)), one.component.name, one.id)):
        assert one.statement is not None  # noqa: S101 - for the type checker
        statement, about = one.statement.statement, one.statement.about
        until = statement.accepted_until.isoformat() if statement.accepted_until else ""
        component = f"{about.component.rpartition('/')[2]} {about.published}"
        style = STYLES[statement.state]
        state = f"[{style}]{statement.state}[/{style}]"
        table.add_row(one.id, component, statement.severity, state, until, statement.reached_by)
    out.print(table)


def _state(one: Known) -> str:
    return one.statement.statement.state if one.statement else "in_triage"


def _show_work(judged: Judged, limits: list[str]) -> None:
    waiting = {one.id for one in judged.known if one.statement is None and one.fixed is None}
    if waiting:
        out.print(f"{len(waiting)} in Debian's packages wait for a fix", highlight=False)
    for text in limits:
        out.print(f"not evaluated: {text}", style="yellow", highlight=False, soft_wrap=True)
    for finding in judged.findings:
        text = f"{finding.kind}: {finding.component} {finding.version}: {finding.id}: {finding.what}"
        out.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    if not judged.findings:
        out.print("[green]✓[/green] all that is known has a statement that holds", highlight=False)


def _plain(judged: Judged, limits: list[str]) -> dict[str, Any]:
    from socle.supply import vex  # noqa: PLC0415 - loads slowly

    return {
        "vulnerabilities": vex.plain(judged.known),
        "findings": [asdict(finding) for finding in judged.findings],
        "not_evaluated": limits,
    }
