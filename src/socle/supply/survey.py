"""All that is known of a site's parts: the kit, the site's own binaries, the Debian packages of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from socle import tools
from socle.deploy.deployment import BINARIES
from socle.site import Site
from socle.supply import debian, osv, sources, statements
from socle.supply.bom import Component
from socle.supply.judgement import Judged, judge, with_proofs
from socle.tools.progress import Progress


@dataclass(frozen=True)
class Databases:
    """Local copies: a folder of OSV records, the JSON of Debian's tracker; none where there is no copy."""

    osv: Path | None = None
    debian_tracker: Path | None = None

    @classmethod
    def of_site(cls, site: Site) -> Databases:
        """Those that ``site.yml`` names, by paths from the site's folder."""
        named = site.settings.vulnerabilities
        return cls(*(site.folder / path if path else None for path in (named.osv, named.debian_tracker)))


@dataclass(frozen=True)
class Survey:
    """What is known, what has to be done, and what could not be judged."""

    judged: Judged
    not_evaluated: tuple[str, ...]


def survey(
    site: Site, databases: Databases, tell: Callable[[Progress], None], *, nodes: bool = True
) -> Survey:
    """Judge a site by local copies of databases and by what the kit states.

    Args:
        tell: what is built, when the cache does not hold the kit's binaries.
        nodes: whether the nodes are asked for their packages.

    Raises:
        SocleError: a database is not there (exit code 4) or wrong, or a node does not answer (exit code 6).
        SiteErrors: the statements are wrong.
    """
    placed = statements.load()
    binaries = tools.build(BINARIES, tell)
    parts = sources.merged([*sources.kit(binaries)[1], *_own(site), *(_installed(site) if nodes else ())])
    wanted = [one for part in parts if (one := osv.packaged(part)) is not None]
    records = osv.read(databases.osv, wanted) if databases.osv else []
    records += debian.read(databases.debian_tracker, wanted) if databases.debian_tracker else []
    judged = judge(parts, records, placed, datetime.now(UTC).date())
    missing = [*statements.unproved(placed), *statements.present(placed, binaries)]
    return Survey(with_proofs(judged, missing), tuple(_limits(databases, nodes)))


def _own(site: Site) -> list[Component]:
    """What the site's own binaries are made of."""
    found: list[Component] = []
    for name in BINARIES:
        own = getattr(site.settings.binaries, name.replace("-", "_"))
        if own:
            path = tools.resolve(name, tools.BinaryOverride(Path(own.path), own.sha256))
            found += sources.built(f"{name} of the site", path)
    return found


def _installed(site: Site) -> list[Component]:
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda host: sources.node(site, host)[1], site.hosts.values())
        return [part for installed in asked for part in installed]


def _limits(databases: Databases, nodes: bool) -> list[str]:
    told = {
        "Go modules and Python packages, beside what is stated: no OSV database is named": not databases.osv,
        "Debian packages: the nodes were not asked": not nodes,
        "Debian packages: no copy of Debian's tracker is named": nodes and not databases.debian_tracker,
    }
    return [text for text, holds in told.items() if holds]
