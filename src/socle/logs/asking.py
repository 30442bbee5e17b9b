"""The store as the deploying machine asks it: verification, a tenant's events, a text."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from socle import durable, vault
from socle.catalogue import Catalogue
from socle.deploy.nodes import ssh
from socle.errors import ExitCode, SocleError
from socle.logs.chain import Check, Head, Measured, head_of, judge, silent
from socle.logs.sealing import KEY, oldest
from socle.paths import state_dir
from socle.site import Host, Site
from socle.site.entrance import reason
from stacks.tenant.plan import domain_name

PROGRAM = "/usr/local/sbin/socle-logs"
SECONDS = 600
HEADS = "logs/heads.json"
SSH_FAILED = 255


def stores(site: Site) -> list[Host]:
    """The hosts that keep logs; the first is the one that nodes send to."""
    return [host for host in site.hosts.values() if "vault" in host.groups]


def ask(site: Site, host: Host, request: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the store's answer.

    Raises:
        SocleError: the node does not answer (exit code 6), or has no store.
    """
    command = [*ssh(site, host), f"sudo -n {PROGRAM}"]
    try:
        done = subprocess.run(
            command, input=json.dumps(request), capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SocleError(
            f"no answer within {SECONDS} s", where=host.name, exit_code=ExitCode.UNREACHABLE
        ) from error
    if done.returncode != 0:
        why = reason(done.stderr, f"status {done.returncode}")
        unreachable = done.returncode == SSH_FAILED
        raise SocleError(
            f"the store of logs gives no answer ({why})",
            where=host.name,
            write="run `socle deploy --only logs_store`",
            exit_code=ExitCode.UNREACHABLE if unreachable else ExitCode.FAILED,
        )
    # Lines end with a line feed and nothing else: what callers of an API named may hold U+2028 and its like.
    yield from done.stdout.removesuffix("\n").split("\n") if done.stdout else ()


def verify(site: Site, services: Catalogue) -> dict[str, list[str]]:
    """What is wrong with each store, by the host's name; remembers the end of each chain that is right.

    Raises:
        SocleError: a store or OpenBao does not answer.
    """
    keys = public_keys(vault.place_of(site, services))
    path, heads = _heads(site)
    found: dict[str, list[str]] = {}
    for number, host in enumerate(stores(site)):
        measured = Measured(**json.loads(next(ask(site, host, {"do": "measure"}))))
        seen = Head(**heads[host.name]) if host.name in heads else None
        found[host.name] = judged(site, measured, checker(keys), seen)
        if not found[host.name]:
            head = head_of(measured.seals)
            heads[host.name] = {"number": head.number, "sha256": head.sha256}
        if number == 0:
            found[host.name] += silent(measured.heard, site.hosts, datetime.now(UTC))
    durable.write_json(path, heads)
    return found


def forget(site: Site, host: Host) -> None:
    """Forget the end of a store's chain: the store was lost, and what replaced it begins a new one.

    Raises:
        SocleError: no verification of it was ever remembered.
    """
    path, heads = _heads(site)
    if heads.pop(host.name, None) is None:
        raise SocleError("no verification of its logs is remembered", where=host.name)
    durable.write_json(path, heads)


def _heads(site: Site) -> tuple[Path, dict[str, Any]]:
    """Where the ends of the chains are kept, and what the last verification saw."""
    path = state_dir(site.name) / HEADS
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return path, durable.read_json(path)


def judged(site: Site, measured: Measured, signed: Check, seen: Head | None) -> list[str]:
    """The verdict, by the site's own retention and rhythm."""
    wanted, now = site.settings.logs, datetime.now(UTC)
    return judge(
        measured,
        signed,
        now=now,
        keep_until=oldest(wanted.retention_months, now),
        every=timedelta(minutes=wanted.seal_minutes),
        seen=seen,
    )


def public_keys(place: vault.Place) -> dict[str, str]:
    """Version to public key, PEM, of the key that signs seals.

    Raises:
        SocleError: nothing was ever sealed with it.
    """
    with vault.plainly(place):
        answer = vault.stacks_client(place).read(f"transit/keys/{KEY}")
    if not answer:
        raise SocleError(
            "nothing was ever sealed", where=f"OpenBao transit/{KEY}", write="run `socle deploy`"
        )
    return {str(version): str(key["public_key"]) for version, key in answer["data"]["keys"].items()}


def checker(keys: Mapping[str, str]) -> Check:
    """Checks OpenBao's signatures: ``vault:v<version>:<DER in Base64>``, ECDSA P-384 over SHA-384."""
    loaded = {
        version: serialization.load_pem_public_key(pem.encode("ascii")) for version, pem in keys.items()
    }

    def right(signature: str, text: bytes) -> bool:
        prefix, _colon, coded = signature.rpartition(":")
        key = loaded.get(prefix.removeprefix("vault:v"))
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        try:
            key.verify(base64.b64decode(coded, validate=True), text, ec.ECDSA(hashes.SHA384()))
        except (InvalidSignature, ValueError):
            return False
        return True

    return right


def tenant_ids(cloud: Any, sirens: Iterable[str]) -> dict[str, set[str]]:
    """Identifiers of tenants' domains, projects and accounts, as Keystone has them now, by SIREN.

    Keystone is asked three times, for however many tenants.

    Raises:
        SocleError: Keystone knows no domain of one of them.
    """
    domains = {domain.name: domain.id for domain in cloud.identity.domains()}
    found: dict[str, set[str]] = {}
    for siren in sirens:
        if (own := domains.get(domain_name(siren))) is None:
            raise SocleError("has no domain in the cloud", where=siren, write=f"socle deploy --only {siren}")
        found[siren] = {own}
    held = [*cloud.identity.projects(), *cloud.identity.users()]
    for ids in found.values():
        ids |= {one.id for one in held if one.domain_id in ids}
    return found


def events(site: Site, ids: Iterable[str], begin: datetime, end: datetime) -> Iterator[str]:
    """A tenant's API events in a span of time, as JSON lines."""
    request = {
        "do": "extract",
        "ids": sorted(ids),
        "begin": begin.timestamp(),
        "end": end.timestamp(),
    }
    for host in stores(site):
        yield from ask(site, host, request)


def search(site: Site, text: str) -> Iterator[str]:
    """Entries that contain a text, as JSON lines."""
    for host in stores(site):
        yield from ask(site, host, {"do": "search", "text": text})
