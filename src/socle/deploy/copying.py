"""What runs end with: a copy of OpenBao's storage, with the secrets that they made."""

from __future__ import annotations

from datetime import UTC, datetime

from socle import catalogue, vault
from socle.deploy.phases import Reporter
from socle.site import Site
from socle.vault import snapshots

COPY = "copy of openbao"


def copy_openbao(site: Site, reporter: Reporter) -> None:
    """Take the copy of the day, or another one when secrets were made since the last.

    Raises:
        SocleError: OpenBao is sealed or does not answer, or the copy cannot be written.
    """
    kept = snapshots.keep(vault.place_of(site, catalogue.load()), datetime.now(UTC))
    if kept:
        reporter.tell(f"{kept} is the newest; keep it on another machine too")
    reporter.did(0)
