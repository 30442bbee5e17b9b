"""``socle sbom`` and ``socle release``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from socle import __version__, durable, openbao, tools
from socle.cli.app import app, err, examples, good, options, out
from socle.deploy.deployment import BINARIES

if TYPE_CHECKING:
    from socle.supply.bom import Component
    from socle.supply.judgement import Known


@app.command(epilog=examples("socle sbom sbom/", "socle sbom --kit sbom/"))
def sbom(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")],
    kit_only: Annotated[bool, typer.Option("--kit", help="The kit alone: no node is asked.")] = False,
) -> None:
    """Write bills of materials (CycloneDX 1.6): one of the kit, one of every node.

    The kit: the packages of its lock with their digests, and the Go modules in its binaries (built when the
    cache does not hold them), with what is said of their known vulnerabilities (VEX). A node: its Debian
    packages, asked over SSH. What did not change gives the same file.

    Exit code: 6 when a node does not answer.
    """
    from socle.cli.vulnerabilities import show_known  # noqa: PLC0415 - loads slowly
    from socle.supply import sources, vex  # noqa: PLC0415 - loads slowly
    from socle.supply.bom import bill  # noqa: PLC0415 - loads slowly

    given = options(context)
    site = given.load()
    hosts = [] if kit_only else list(site.hosts.values())
    with err.status("reading what is in the kit and on the nodes") as line, ThreadPoolExecutor(8) as pool:
        asked = {host.name: pool.submit(sources.node, site, host) for host in hosts}
        bills = {"kit": sources.kit(tools.build(BINARIES, lambda progress: line.update(str(progress))))}
        bills |= {f"node-{name}": answer.result() for name, answer in asked.items()}
    folder.mkdir(parents=True, exist_ok=True)
    known = {name: stated(parts) for name, (_subject, parts) in bills.items()}
    for name, (subject, parts) in bills.items():
        text = bill(subject, parts, __version__, vex.plain(known[name]))
        durable.write(folder / f"{name}.cdx.json", text)
    if given.json:
        out.print_json(data={name: len(parts) for name, (_subject, parts) in bills.items()})
        return
    show_known(known["kit"])
    for name, (_subject, parts) in bills.items():
        told = f"{len(parts)} components, {len(known[name])} known vulnerabilities stated"
        out.print(f"{folder / name}.cdx.json: {told}", highlight=False, soft_wrap=True)


def stated(parts: list[Component]) -> tuple[Known, ...]:
    """The known vulnerabilities of components of which the kit says something."""
    from socle.supply import judgement, statements  # noqa: PLC0415 - loads slowly

    return judgement.judge(parts, (), statements.load(), datetime.now(UTC).date()).known


@app.command(epilog=examples("socle release dist/"))
def release(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")],
) -> None:
    """Write and sign a release of the commit that is checked out: archive, bill of materials, signatures.

    The same commit gives the same archive. The signatures are OpenBao's (ECDSA P-384 over SHA-384), by the
    person whose login stands in BAO_ADDR, BAO_TOKEN and BAO_CACERT and who has the policy `release`. They are
    verified with openssl alone; the commands for it are printed.

    Exit codes: 1 the checkout has changes or OpenBao refuses, 4 no login in the environment.
    """
    from socle.supply import sources, vex  # noqa: PLC0415 - loads slowly
    from socle.supply.bom import bill  # noqa: PLC0415 - loads slowly
    from socle.supply.release import make  # noqa: PLC0415 - beside its parts

    def ask(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return openbao.request(method, path, body=body if method == "POST" else None)

    with err.status("reading what is in the kit") as line:
        subject, parts = sources.kit(tools.build(BINARIES, lambda progress: line.update(str(progress))))
    made = make(folder, __version__, ask, bill(subject, parts, __version__, vex.plain(stated(parts))))
    if options(context).json:
        files = [str(path) for path in made.files]
        out.print_json(data={"version": made.version, "commit": made.commit, "files": files})
        return
    good(f"socle {made.version}, commit {made.commit}, in {folder}")
    for command in made.commands():
        out.print(command, highlight=False, soft_wrap=True)
