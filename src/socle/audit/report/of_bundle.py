"""The content of a report on a bundle of a site's chain, with the audits before it; all of it verified."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from socle.audit import bundle as bundles
from socle.audit import controls, requirements
from socle.audit.model import Audit, Status
from socle.audit.notary import chain_of, verified
from socle.audit.report.content import Content, Past, content
from socle.audit.verify import MANIFEST, sha256
from socle.errors import SocleError
from socle.site import Site

HISTORY = 12
"""How many audits before it a report shows."""


class _Earlier(NamedTuple):
    """Audits before the one that is told: all bundles that were read for it, and those of its kind."""

    read: list[Path]
    past: tuple[Past, ...]


def content_of(site: Site, bundle: Path | None) -> Content:
    """What to tell of a bundle; of the latest one when none is named.

    What the site's key or authority would prove, but is not there, is told as unproved.

    Raises:
        SocleError: there is none, it cannot be read, another version of the kit judged it, it is of another
            site, or it or one of those before it is not what was signed.
    """
    chain = bundles.bundles(chain_of(site).resolve())
    if bundle is None and not chain:
        raise SocleError(
            "the site was never audited", where=str(chain_of(site)), write="run `socle audit live` first"
        )
    chosen = (bundle or chain[-1]).resolve()
    facts, audit = bundles.read(chosen)
    unproved = verified(site, [chosen])
    _of_site(site, chosen, audit)
    known = controls.load()
    if strangers := sorted({judgement.control for judgement in audit.judgements} - known.keys()):
        raise SocleError(
            f"was judged by controls that this kit does not have: {', '.join(strangers[:3])}",
            where=str(chosen),
            write=f"use the kit that made it (socle {audit.tool}), or name another one by --bundle",
        )
    earlier = _earlier(site, chain[: chain.index(chosen)] if chosen in chain else chain, audit)
    unproved += verified(site, [*earlier.read, chosen] if chosen in chain else earlier.read)
    return content(
        audit,
        facts,
        known,
        requirements.load(),
        requirements.chapters(),
        title=site.settings.title,
        organisation=site.settings.organisation.name,
        proof=(chosen.name, sha256(chosen / MANIFEST)),
        past=earlier.past,
        unproved=tuple(dict.fromkeys(unproved)),
    )


def _of_site(site: Site, bundle: Path, audit: Audit) -> None:
    if audit.site != site.name:
        raise SocleError(
            f"is an audit of the site {audit.site}",
            where=str(bundle),
            expected=f"one of {site.name}",
            write="name the site by --site",
        )


def _earlier(site: Site, chain: list[Path], audit: Audit) -> _Earlier:
    """From the newest back, until there are enough."""
    read: list[Path] = []
    past: list[Past] = []
    for path in reversed(chain):
        told = bundles.read_audit(path)
        _of_site(site, path, told)
        read.insert(0, path)
        if told.kind == audit.kind and told.moment < audit.moment:
            counted = Counter(verdict.status for verdict in told.verdicts)
            past.insert(0, Past(told.moment, told.kind, {status: counted[status] for status in Status}))
        if len(past) == HISTORY:
            break
    return _Earlier(read, tuple(past))
