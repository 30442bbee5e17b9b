"""What OpenBao keeps, told by its shell: keys, authorities, what they sign, and how old secrets are."""

from __future__ import annotations

from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from socle.audit.collect.openbao_session import DAY, Session
from socle.vault import ssh, tenant_keys
from socle.vault.mounts import KV, PKI_ROOT, PKI_SERVICES, TRANSIT

TLS_ROLE: Final = (
    "allow_any_name",
    "allow_glob_domains",
    "allow_localhost",
    "allow_subdomains",
    "allow_wildcard_certificates",
    "allowed_domains",
    "client_flag",
    "code_signing_flag",
    "email_protection_flag",
    "key_bits",
    "key_type",
    "max_ttl",
    "no_store",
    "server_flag",
)
SSH_ROLE: Final = (
    "allow_host_certificates",
    "allow_user_certificates",
    "allow_empty_principals",
    "allow_subdomains",
    "allowed_critical_options",
    "allowed_domains",
    "allowed_extensions",
    "allowed_user_key_lengths",
    "allowed_users",
    "default_user",
    "max_ttl",
)
KEY: Final = ("allow_plaintext_backup", "deletion_allowed", "exportable", "imported_key", "type")


def transit(session: Session) -> list[dict[str, Any]]:
    """Every transit key: what may be done with it, how many versions it has, how old the newest one is."""
    found = []
    for mount in (TRANSIT, tenant_keys.MOUNT):
        for name in session.names(f"{mount}/keys"):
            key = session.data(f"{mount}/keys/{name}")
            newest = key["keys"][str(key["latest_version"])]
            made = newest if isinstance(newest, int) else newest["creation_time"]
            found.append(
                {
                    "mount": mount,
                    "name": name,
                    **{word: key[word] for word in KEY},
                    "signs": key["supports_signing"],
                    "encrypts": key["supports_encryption"],
                    "versions": key["latest_version"],
                    "oldest_decrypted": key["min_decryption_version"],
                    "age_days": session.age_days(made),
                }
            )
    return found


def authorities(session: Session) -> list[dict[str, Any]]:
    """Each authority's certificate; those of others that only complete a chain are left out.

    ``signed_by_root`` says whether the key of an authority of the root's mount made its signature.
    """
    found = [
        (mount, x509.load_pem_x509_certificate(str(told["certificate"]).encode()))
        for mount in (PKI_ROOT, PKI_SERVICES)
        for issuer in session.names(f"{mount}/issuers")
        if (told := session.data(f"{mount}/issuer/{issuer}"))["key_id"]
    ]
    roots = [certificate for mount, certificate in found if mount == PKI_ROOT]
    return [
        {
            "mount": mount,
            **_authority(certificate, session),
            "signed_by_root": any(_signed_by(certificate, root) for root in roots),
        }
        for mount, certificate in found
    ]


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _authority(certificate: x509.Certificate, session: Session) -> dict[str, Any]:
    key = certificate.public_key()
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else None
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "key": "ec" if curve else "rsa" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__,
        "bits": getattr(key, "key_size", 0),
        "signature_hash": getattr(certificate.signature_hash_algorithm, "name", None),
        "authority": constraints.ca,
        "path_length": constraints.path_length,
        "signs_certificates_only": usage.key_cert_sign and not usage.key_encipherment,
        "years": round(lasts.total_seconds() / DAY / 365.25, 1),
        "days_left": round((certificate.not_valid_after_utc - session.now).total_seconds() / DAY),
    }


def issuing(session: Session) -> list[dict[str, Any]]:
    """What may be asked of each authority; durations in seconds."""
    tls = [
        {"mount": PKI_SERVICES, "kind": "tls", "name": name, **_only(session, PKI_SERVICES, name, TLS_ROLE)}
        for name in session.names(f"{PKI_SERVICES}/roles")
    ]
    root = [
        {"mount": PKI_ROOT, "kind": "tls", "name": name, **_only(session, PKI_ROOT, name, TLS_ROLE)}
        for name in session.names(f"{PKI_ROOT}/roles")
    ]
    sessions = [
        {"mount": mount, "kind": kind, "name": name, **_only(session, mount, name, SSH_ROLE)}
        for mount, kind in ((ssh.USER_MOUNT, "ssh people"), (ssh.HOST_MOUNT, "ssh hosts"))
        for name in session.names(f"{mount}/roles")
    ]
    return [*tls, *root, *sessions]


def _only(session: Session, mount: str, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    role = session.data(f"{mount}/roles/{name}")
    return {key: role[key] for key in keys}


def secrets(session: Session) -> list[dict[str, Any]]:
    """The entry of each component: its version, and for how long it has not changed."""
    found = []
    for name in session.names(f"{KV}/metadata/services"):
        kept = session.data(f"{KV}/metadata/services/{name}")
        newest = kept["versions"][str(kept["current_version"])]
        found.append(
            {
                "name": name,
                "version": kept["current_version"],
                "age_days": session.age_days(str(newest["created_time"])),
            }
        )
    return found
