"""The content of a report on a bundle of a site's chain, with the audits before it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from socle.audit import bundle as bundles
from socle.audit import controls, requirements
from socle.audit.model import Audit, Status
from socle.audit.notary import chain_of
from socle.audit.report.content import Content, Past, content
from socle.audit.verify import MANIFEST, sha256
from socle.errors import SocleError
from socle.site import Site

HISTORY = 12
"""How many audits before it a report shows."""


def content_of(site: Site, bundle: Path | None) -> Content:
    """What to tell of a bundle; of the latest one when none is named.

    Raises:
        SocleError: there is none, it cannot be read, or another version of the kit judged it.
    """
    chain = bundles.bundles(chain_of(site))
    if bundle is None and not chain:
        raise SocleError(
            "the site was never audited", where=str(chain_of(site)), write="run `socle audit live` first"
        )
    chosen = bundle or chain[-1]
    facts, audit = bundles.read(chosen)
    known = controls.load()
    if strangers := sorted({judgement.control for judgement in audit.judgements} - known.keys()):
        raise SocleError(
            f"was judged by controls that this kit does not have: {', '.join(strangers[:3])}",
            where=str(chosen),
            write=f"use the kit that made it (socle {audit.tool}), or name another one by --bundle",
        )
    return content(
        audit,
        facts,
        known,
        requirements.load(),
        requirements.chapters(),
        title=site.settings.title,
        organisation=site.settings.organisation.name,
        proof=(chosen.name, sha256(chosen / MANIFEST)),
        past=_past(chain, audit),
    )


def _past(chain: list[Path], audit: Audit) -> tuple[Past, ...]:
    before = []
    for path in chain:
        told = bundles.read_audit(path)
        if told.kind == audit.kind and told.moment < audit.moment:
            counted = Counter(verdict.status for verdict in told.verdicts)
            counts = {status: counted[status] for status in Status}
            before.append(Past(told.moment, told.kind, counts))
    return tuple(before[-HISTORY:])
