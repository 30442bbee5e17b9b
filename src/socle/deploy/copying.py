"""What runs end with: a copy of OpenBao's storage, with the secrets that the run made."""

from __future__ import annotations

from datetime import UTC, datetime

from socle import catalogue, vault
from socle.deploy.journal import Run
from socle.deploy.phases import Reporter
from socle.site import Site
from socle.vault import snapshots

COPY = "copy of openbao"


def copy_openbao(site: Site, run: Run, reporter: Reporter) -> None:
    """Take the copy of the day, or another one when the run changed something: it may be a secret.

    Raises:
        SocleError: OpenBao is sealed or does not answer, or the copy cannot be written.
    """
    changed = any(phase.changed for phase in run.phases)
    kept = snapshots.keep(vault.place_of(site, catalogue.load()), datetime.now(UTC), changed=changed)
    if kept:
        reporter.tell(f"{kept} is the newest; keep it on another machine too")
    reporter.did(0)
