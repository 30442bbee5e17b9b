"""``socle sbom``: bills of materials."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from socle import __version__, durable, tools
from socle.cli.app import app, err, examples, options, out
from socle.deploy.deployment import BINARIES


@app.command(epilog=examples("socle sbom sbom/", "socle sbom --kit sbom/"))
def sbom(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")],
    kit_only: Annotated[bool, typer.Option("--kit", help="The kit alone: no node is asked.")] = False,
) -> None:
    """Write bills of materials (CycloneDX 1.6): one of the kit, one of every node.

    The kit: the packages of its lock with their digests, and the Go modules in its binaries (built when the
    cache does not hold them). A node: its Debian packages, asked over SSH. What did not change gives the same
    file.

    Exit code: 6 when a node does not answer.
    """
    from socle.supply import sources  # noqa: PLC0415 - loads slowly
    from socle.supply.bom import bill  # noqa: PLC0415 - loads slowly

    given = options(context)
    site = given.load()
    hosts = [] if kit_only else list(site.hosts.values())
    with err.status("reading what is in the kit and on the nodes") as line, ThreadPoolExecutor(8) as pool:
        asked = {host.name: pool.submit(sources.node, site, host) for host in hosts}
        bills = {"kit": sources.kit(tools.build(BINARIES, lambda progress: line.update(str(progress))))}
        bills |= {f"node-{name}": answer.result() for name, answer in asked.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, (subject, parts) in bills.items():
        durable.write(folder / f"{name}.cdx.json", bill(subject, parts, __version__))
    if given.json:
        out.print_json(data={name: len(parts) for name, (_subject, parts) in bills.items()})
        return
    for name, (_subject, parts) in bills.items():
        out.print(f"{folder / name}.cdx.json: {len(parts)} components", highlight=False, soft_wrap=True)
