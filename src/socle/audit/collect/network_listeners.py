"""Every TLS and SSH listener of the service catalogue, asked from here or by its own host."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from socle import catalogue, vault
from socle.audit.collect.agent_listeners import listener_answers
from socle.audit.collect.collector import Collector, FactKind, of_hosts
from socle.audit.collect.session import ASKED, read_hosts
from socle.audit.model import Fact
from socle.site import Host, Site

TLS, CERTIFICATE, SSH = "tls.offer", "tls.certificate", "ssh.offer"
STARTS: Final = {("mariadb", "sql"): "mariadb"}
"""Protocols that change over to TLS; all others begin with it."""
BETWEEN_CONTROLLERS: Final = frozenset({"replication", "state_transfer", "snapshot_transfer", "cache"})
"""Listeners that are there with several controllers only."""
DAY: Final = 86400
type Place = dict[str, Any]


def fronts(site: Site) -> Iterator[Place]:
    """What HAProxy publishes over TLS, on the shared addresses."""
    ends = {"admin": site.endpoints.internal, "api": site.endpoints.public}
    for component, entry in catalogue.load().components.items():
        for name, listener in entry.listeners.items():
            if listener.front and listener.front.tls:
                for zone in listener.front.zones:
                    yield {
                        "subject": f"{component}.{name}@{zone}",
                        "address": str(ends[zone].address),
                        "port": listener.front_port,
                        "name": ends[zone].name,
                        "starts": "tls",
                        "mutual": False,
                        "zone": zone,
                    }


def behind(site: Site, host: Host) -> Iterator[Place]:
    """The TLS listeners of a host itself; ranges of ports are open only while a guest runs or moves."""
    alone = len(site.group("controllers")) == 1
    for component, entry in catalogue.load().of_groups(host.groups).items():
        for name, listener in entry.listeners.items():
            if listener.tls not in ("server", "mutual") or listener.last_port:
                continue
            if name in BETWEEN_CONTROLLERS and (alone or name == "cache"):
                continue
            yield {
                "subject": f"{host.name} {component}.{name}",
                "address": str(host.addresses[listener.zone]),
                "port": listener.port,
                "name": f"{host.name}.{site.domain}",
                "starts": STARTS.get((component, name), "tls"),
                "mutual": listener.tls == "mutual",
                "zone": listener.zone,
                "deployer": "deployer" in listener.callers,
            }


def from_here(site: Site) -> list[Place]:
    """Listeners that this machine may call."""
    return [
        *fronts(site),
        *(place for host in site.hosts.values() for place in behind(site, host) if place["deployer"]),
    ]


def by_themselves(site: Site, host: Host) -> list[Place]:
    """Listeners of a host that only other nodes may call: the host asks itself."""
    return [place for place in behind(site, host) if not place["deployer"]]


ASKED["handshakes"] = by_themselves


def of_listeners(site: Site) -> tuple[str, ...]:
    """Every TLS listener of the site."""
    places = [*fronts(site), *(place for host in site.hosts.values() for place in behind(site, host))]
    return tuple(str(place["subject"]) for place in places)


def _read(site: Site) -> Iterator[Fact]:
    here = from_here(site)
    answers = {
        place["subject"]: answer for place, answer in zip(here, listener_answers(here).values(), strict=True)
    }
    root = vault.place_of(site, catalogue.load()).ca_file
    judge = Judge(root.read_bytes() if root.exists() else None, datetime.now(UTC))
    for place in here:
        yield from _facts(place, answers[place["subject"]], judge)
    for name, host_answer in read_hosts(site).items():
        section = host_answer.sections.get(
            "handshakes", {"problem": "la session n’a pas répondu aux écoutes"}
        )
        problem = host_answer.problem or section.get("problem")
        for place in by_themselves(site, site.hosts[name]):
            answer = {"problem": problem} if problem else section["value"].get(place["subject"])
            yield from _facts(place, answer or {"problem": "écoute oubliée par l’hôte"}, judge)


def _facts(place: Place, answer: Mapping[str, Any], judge: Judge) -> Iterator[Fact]:
    subject = str(place["subject"])
    if "problem" in answer:
        yield Fact(name=TLS, subject=subject, problem=answer["problem"])
        yield Fact(name=CERTIFICATE, subject=subject, problem=answer["problem"])
        return
    offered = dict(answer["value"])
    chain = offered.pop("chain")
    extra = {"mutual": place["mutual"], "zone": place["zone"], "by_protocol": place["starts"] != "tls"}
    yield Fact(name=TLS, subject=subject, value={**offered, **extra})
    try:
        yield Fact(name=CERTIFICATE, subject=subject, value=judge.certificate(chain, str(place["name"])))
    except (ValueError, IndexError, x509.ExtensionNotFound) as error:
        yield Fact(name=CERTIFICATE, subject=subject, problem=f"certificat illisible ({error})")


class Judge:
    """What certificates are, in the light of the site's own root."""

    def __init__(self, root: bytes | None, now: datetime) -> None:
        self.now = now
        self.store = Store([x509.load_pem_x509_certificate(root)]) if root else None

    def certificate(self, chain: list[str], name: str) -> dict[str, Any]:
        """The leaf and whether its chain ends at the root, for the name by which it is called.

        Args:
            chain: DER in base64, the leaf first.
        """
        found = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in chain]
        leaf, key = found[0], found[0].public_key()
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {
            "key": "ec"
            if isinstance(key, ec.EllipticCurvePublicKey)
            else "rsa"
            if isinstance(key, rsa.RSAPublicKey)
            else "other",
            "bits": getattr(key, "key_size", 0),
            "signature_hash": _hash(leaf),
            "names": sorted(names.get_values_for_type(x509.DNSName)),
            "wanted": name,
            "days": round((leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds() / DAY),
            "days_left": round((leaf.not_valid_after_utc - self.now).total_seconds() / DAY, 1),
            "chain": len(found),
            "authority_hash": _hash(found[1]) if len(found) > 1 else None,
            "untrusted": self._untrusted(found, name),
        }

    def _untrusted(self, chain: list[x509.Certificate], name: str) -> str | None:
        if self.store is None:
            raise ValueError("la racine du site n’est pas sur cette machine")
        verifier = PolicyBuilder().store(self.store).time(self.now).build_server_verifier(x509.DNSName(name))
        try:
            verifier.verify(chain[0], chain[1:])
        except VerificationError as error:
            return str(error)
        return None


def _hash(certificate: x509.Certificate) -> str | None:
    algorithm: hashes.HashAlgorithm | None = certificate.signature_hash_algorithm
    return algorithm.name if algorithm else None


def _read_ssh(site: Site) -> Iterator[Fact]:
    port = catalogue.load()["base"].listeners["ssh"].port
    places = [
        {"subject": host.name, "address": str(host.address), "port": port, "name": "", "starts": "ssh"}
        for host in site.hosts.values()
    ]
    for subject, answer in listener_answers(places).items():
        yield Fact(name=SSH, subject=subject, value=answer.get("value"), problem=answer.get("problem"))


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        name="tls",
        kinds=frozenset({"live"}),
        facts=(
            FactKind(TLS, of_listeners, "Ce que chaque écoute TLS offre et refuse"),
            FactKind(CERTIFICATE, of_listeners, "Le certificat que chaque écoute TLS montre, et sa chaîne"),
        ),
        read=_read,
        permission="aucune connexion : des poignées de main, d’ici ou de l’hôte lui-même",
    ),
    Collector(
        name="ssh",
        kinds=frozenset({"live"}),
        facts=(FactKind(SSH, of_hosts, "Algorithmes que chaque serveur SSH offre"),),
        read=_read_ssh,
        permission="aucune connexion : l’échange qui précède l’authentification",
    ),
)
