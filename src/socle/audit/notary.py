"""Who signs and dates a site's audits: OpenBao, and the authority that the site names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from socle import catalogue, durable, signing, vault
from socle.audit import timestamps
from socle.audit.bundle import KEY, Notary
from socle.paths import state_dir
from socle.site import Site

CHAIN, AUTHORITY, SIGNER_KEY = "audits", "timestamps", "audit.pub"


def chain_of(site: Site) -> Path:
    """The folder of a site's bundles."""
    return state_dir(site.name) / CHAIN


def signer_key(site: Site) -> Path:
    """The public key by which this machine knows the signer; auditors get it by another way than bundles."""
    return state_dir(site.name) / SIGNER_KEY


def authority_of(site: Site) -> Path:
    """The certificate by which the site's timestamps are verified."""
    return timestamps.authority(site.settings.audit.timestamps, state_dir(site.name) / AUTHORITY, site.folder)


def notary_of(site: Site) -> Notary:
    """Logs in to OpenBao as the signer of audits.

    Raises:
        SocleError: OpenBao is sealed, does not answer (exit code 6), or refuses.
    """
    place = vault.place_of(site, catalogue.load())
    speaker = vault.audit_signer(place)

    def ask(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with vault.plainly(place):
            answer = speaker.read(path) if method == "GET" else speaker.write_data(path, data=body)
        return dict(answer or {}) if isinstance(answer, dict) else {}

    settings, folder = site.settings.audit.timestamps, state_dir(site.name) / AUTHORITY
    if not signer_key(site).exists():
        signing.make(KEY, ask)
        durable.write(signer_key(site), signing.public_key(KEY, ask))
    return Notary(ask, lambda signature: timestamps.stamp(settings, folder, signature))
