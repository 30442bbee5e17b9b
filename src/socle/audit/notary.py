"""Who signs and dates a site's audits: OpenBao, and the authority that the site names."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from socle import catalogue, durable, signing, vault
from socle.audit import timestamps, verify
from socle.audit.bundle import KEY, Notary
from socle.errors import SocleError
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


def trust_of(site: Site) -> verify.Trust:
    """By what this machine verifies the site's bundles; what it lacks, it cannot prove."""
    return verify.Trust(signer_key(site), authority_of(site))


def verified(site: Site, paths: list[Path]) -> list[str]:
    """What could not be proved of bundles of a site that follow each other, in French.

    Raises:
        SocleError: something is wrong with them: nothing may be told of what they say.
    """
    found = verify.verify_all(paths, trust_of(site))
    if found.faults:
        more = f" (and {len(found.faults) - 1} more)" if len(found.faults) > 1 else ""
        raise SocleError(
            f"is not what was signed: {found.faults[0]}{more}",
            where=str(paths[-1].parent),
            write="see `socle audit verify`",
        )
    return found.unproved_itself


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
    pin(signer_key(site), chain_of(site), ask, test_chain=place.custody == "test-custodians")
    return Notary(ask, lambda signature: timestamps.stamp(settings, folder, signature))


def pin(known: Path, chain: Path, ask: signing.Ask, *, test_chain: bool) -> None:
    """See that OpenBao signs with the key by which this machine knows it; the first one is written down.

    An OpenBao that was made anew has another key. The chain of a lab is set aside then, with its key, into
    ``audits-`` and the first digits of the key's SHA-256; killed halfway, the next call goes on.

    Raises:
        SocleError: the key is another one, and the chain is no lab's: a person decides what that means.
    """
    signing.make(KEY, ask)
    now = signing.public_key(KEY, ask)
    if known.exists() and (former := known.read_text(encoding="utf-8")) != now:
        name = f"{chain.name}-{hashlib.sha256(former.encode()).hexdigest()[:12]}"
        if not test_chain:
            raise SocleError(
                "OpenBao signs with another key than the one that signed the audits before",
                where=str(known),
                write=f"if OpenBao is a new one, move {chain} to "
                f"{chain.with_name(name)} and this key into it: "
                "they stay verifiable, and a new chain begins; if it is not, somebody replaced the signer",
            )
        aside = chain.with_name(name)
        if chain.exists():
            chain.rename(aside)
        aside.mkdir(mode=0o700, exist_ok=True)
        known.rename(aside / known.name)
        durable.sync_folder(aside)
    if not known.exists():
        durable.write(known, now)
