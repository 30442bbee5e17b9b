"""The audits that were kept before this one: when, of which hosts, and whether each is still proved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from socle.audit import bundle, notary, verify
from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.errors import SocleError
from socle.site import Site

LATEST: Final = 3
"""How many audits of the running cloud are verified, from the newest back."""
PROOF: Final = "host.system"
"""A fact of every host: who has it was reached."""


def _read(site: Site) -> Iterator[Fact]:
    live = [path for path in bundle.bundles(notary.chain_of(site)) if path.name.endswith("-live")]
    value = {}
    if live:  # else nothing of the signer or the authority has to be there
        trust = verify.Trust(notary.signer_key(site), notary.authority_of(site))
        value = {path.name: kept(site, path, trust) for path in live[-LATEST:]}
    yield Fact(name="audit.kept", subject=site.name, value=value)


def kept(site: Site, path: Path, trust: verify.Trust) -> dict[str, Any]:
    """One audit: when its facts were read, whether it is proved, which hosts it did not reach."""
    found = verify.verify(path, trust)
    # Alone, a bundle cannot prove those before it; its own parts, signature and timestamp are what is asked.
    unproved = [line for line in found.unproved if "les précédents" not in line]
    try:
        moment = bundle.moment_of(path).isoformat()
        read = bundle.read_facts(path / bundle.FACTS).of(PROOF)
    except (SocleError, ValueError, KeyError) as error:
        return {"date": "1970-01-01", "proved": False, "why": [str(error)], "unread": sorted(site.hosts)}
    reached = {host for host, fact in read.items() if fact.problem is None}
    return {
        "date": moment,
        "proved": not found.faults and not unproved,
        "why": [*found.faults, *unproved],
        "unread": sorted(set(site.hosts) - reached),
    }


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="audits",
        kinds=frozenset({"live"}),
        facts=(FactKind("audit.kept", of_site, "Les audits précédents : date, preuve vérifiée, hôtes lus"),),
        read=_read,
        permission="les dossiers de preuves de la machine qui déploie, vérifiés comme un auditeur le fait",
    ),
)
