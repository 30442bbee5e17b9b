"""Waivers and evidence of a site: what people decided and signed, with each PGP signature verified."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from socle.audit.collect.collector import Collector, FactKind, of_site
from socle.audit.model import Fact
from socle.site import Site
from socle.site.evidence import Evidence


def _read(site: Site) -> Iterator[Fact]:
    waivers = {name: waiver.model_dump(mode="json") for name, waiver in site.waivers.items()}
    yield Fact(name="register.waivers", subject=site.name, value=waivers)
    entries = {
        name: {**entry.model_dump(mode="json"), "signature": signature(site, entry)}
        for name, entry in site.evidence.items()
    }
    yield Fact(name="register.evidence", subject=site.name, value=entries)


PROVEN: Final = frozenset({"GOODSIG", "VALIDSIG"})
NOT_PROVEN: Final = frozenset({"BADSIG", "ERRSIG", "EXPKEYSIG", "EXPSIG", "NODATA", "REVKEYSIG"})
"""What gpg says of a signature beside; of a key that was revoked or expired it ends well all the same."""


def signature(site: Site, entry: Evidence) -> str:
    """``valid``, ``absent``, ``invalid``, or why it cannot be told, of a document's signature."""
    if not entry.signature or not entry.file:
        return "absent"
    key = site.people.people[entry.signed_by].pgp_key
    if key is None:
        return f"no pgp_key of {entry.signed_by} in people.yml"
    with tempfile.TemporaryDirectory(prefix="socle-gpg-") as home:
        Path(home).chmod(0o700)
        gpg = ["gpg", "--batch", "--quiet", "--no-autostart", "--homedir", home]
        try:
            done = subprocess.run([*gpg, "--import"], input=key, text=True, capture_output=True, check=False)
            files = [str(site.folder / entry.signature), str(site.folder / entry.file)]
            if done.returncode == 0:
                verify = [*gpg, "--status-fd", "1", "--verify", *files]
                done = subprocess.run(verify, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return "gpg is not on this machine"
    words = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("[GNUPG:] ")}
    proven = done.returncode == 0 and words >= PROVEN and not words & NOT_PROVEN
    return "valid" if proven else "invalid"


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="register",
        kinds=frozenset({"static", "live"}),
        facts=(
            FactKind("register.waivers", of_site, "Dérogations du site, d’après derogations/"),
            FactKind(
                "register.evidence", of_site, "Preuves du site, d’après evidence/, signatures vérifiées"
            ),
        ),
        read=_read,
        permission="les fichiers du site, tels que validés",
    ),
)
