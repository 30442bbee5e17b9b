"""``socle plan``: what a deployment would change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from socle.cli.app import app, examples, options, out
from socle.deploy.events import Change, Diff
from socle.deploy.plan import NodePlan, Plan, StackPlan
from socle.deploy.progress import Screen
from socle.errors import ExitCode

SHOWN = 30
"""Lines of a difference that are shown without ``--full``."""
STYLES = {"+": "green", "-": "red", "@": "cyan"}


@app.command(epilog=examples("socle plan", "socle plan --full", "socle plan --json"))
def plan(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Show every line of every difference.")] = False,
) -> None:
    """Show what a deployment would change, and change nothing.

    On the nodes by Ansible's check mode: files with their differences (never a secret), units, packages. In
    the platform and the tenants by Pulumi: what would be created, updated, deleted. Works before the first
    deployment too: what cannot be known yet is said.

    Exit codes: 1 a task could not tell, 5 another run holds the lock, 6 a node of a deployed site is away.
    """
    given = options(context)
    found = Plan(given.load(), Screen(given.progress))
    found.go()
    if given.json:
        nodes, stacks = ([asdict(item) for item in items] for items in (found.nodes, found.stacks))
        out.print_json(data={"nodes": nodes, "stacks": stacks, "notes": found.notes})
    else:
        for part in _screen(found, full=full):
            out.print(part, soft_wrap=isinstance(part, Text))
    raise typer.Exit(_exit_code(found))


def _exit_code(found: Plan) -> ExitCode:
    if any(node.failures for node in found.nodes):
        return ExitCode.FAILED
    return ExitCode.UNREACHABLE if found.away and found.deployed else ExitCode.OK


def _screen(found: Plan, *, full: bool) -> Iterator[RenderableType]:
    for node in found.nodes:
        yield from _node(node, full=full)
    yield _stacks(found.stacks)
    for note in found.notes:
        yield Text(f"Note: {note}", style="yellow")
    yield _verdict(found)


def _node(node: NodePlan, *, full: bool) -> Iterator[RenderableType]:
    if node.reason:
        yield Text(f"not evaluated: {node.reason}; it is to get: {node.role}", style="yellow")
        return
    tasks = "1 task" if len(node.changes) == 1 else f"{len(node.changes)} tasks"
    verdict = f"{tasks} would change it" if node.changes else "stays as it is"
    yield Text(f"{node.name}: {verdict}", style="bold")
    for change in node.changes:
        yield from _change(change, full=full)
    for failure in node.failures:
        yield Text(f"  cannot tell: {failure.block()}", style="red")


def _change(change: Change, *, full: bool) -> Iterator[RenderableType]:
    title = f"{change.role}: {change.task}" if change.role else change.task
    yield Text(f"  {title}", style="cyan")
    shown = [diff for diff in change.diffs if diff.before or diff.path.startswith("/")]
    for diff in shown:
        yield from _diff(diff, full=full)
    if not shown:
        yield from (Text(f"    {what}") for what in change.what)


def _diff(diff: Diff, *, full: bool) -> Iterator[RenderableType]:
    added, removed = diff.counts()
    new = " (new)" if not diff.before and diff.after else ""
    yield Text(f"    {diff.path}{new}  +{added} -{removed}")
    if new and not full:
        return
    lines = diff.lines()
    for line in lines if full else lines[:SHOWN]:
        yield Text(f"      {line}", style=STYLES.get(line[:1], "dim"))
    if not full and len(lines) > SHOWN:
        yield Text(f"      … {len(lines) - SHOWN} more lines; see them with --full", style="dim")


def _stacks(stacks: list[StackPlan]) -> Table:
    kinds = ["create", "update", "replace", "delete", "same"]
    table = Table("stack", "", *kinds, "", title="Platform and tenants", title_justify="left")
    for stack in stacks:
        counts = [str(stack.counts.get(kind, 0)) if stack.counts else "" for kind in kinds]
        table.add_row(stack.name, stack.title, *counts, stack.reason)
    return table


def _verdict(found: Plan) -> Text:
    nodes = sum(bool(node.changes) for node in found.nodes)
    changed = sum(bool(set(stack.counts) - {"same"}) or bool(stack.reason) for stack in found.stacks)
    unknown = len(found.away)
    beside = f"; nodes not evaluated: {unknown}" if unknown else ""
    if nodes or changed:
        return Text(f"Nodes that would change: {nodes}; stacks: {changed}{beside}", style="bold")
    return Text(f"Nothing would change{beside}", style="yellow" if unknown else "green")
