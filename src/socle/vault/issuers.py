"""The keys of an authority of SSH: one, and a second one while it is rotated. Their names say how far it got.

``current`` and ``next``: both are trusted; which one signs is OpenBao's default issuer. ``retired`` and
``next``: only the second is trusted, the first is there so that it can be tried. No private key leaves
OpenBao. Each step is one write, so who is killed leaves one of the states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from socle.credentials import State

CURRENT, NEXT, RETIRED = "current", "next", "retired"
NEW_KEY: dict[str, Any] = {"generate_signing_key": True, "key_type": "ed25519", "key_bits": 0}
ONLY_MADE_THERE: dict[str, list[Any]] = {
    "generate_signing_key": [True],
    "key_type": ["ed25519"],
    "key_bits": [],
}
"""What may be asked of a new key: none that somebody brings along."""


@dataclass(frozen=True)
class Issuer:
    """One key of an authority; ``key`` is its public half as OpenSSH writes it."""

    name: str
    key: str
    signs: bool


def issuers(speaker: Any, mount: str) -> list[Issuer]:
    """All keys of an authority; none before it was made."""
    answer = speaker.list(f"{mount}/issuers")
    known = answer["data"]["key_info"].values() if answer else ()
    return [Issuer(k["issuer_name"], str(k["public_key"]).strip(), bool(k["is_default"])) for k in known]


def trusted(speaker: Any, mount: str) -> tuple[str, ...]:
    """The public keys to trust, first the one that signs."""
    known = [issuer for issuer in issuers(speaker, mount) if issuer.name != RETIRED]
    return tuple(issuer.key for issuer in sorted(known, key=lambda issuer: not issuer.signs))


def retired(speaker: Any, mount: str) -> str:
    """The public key that must be refused; empty when there is none."""
    return next((issuer.key for issuer in issuers(speaker, mount) if issuer.name == RETIRED), "")


def state(speaker: Any, mount: str) -> State | None:
    """How far the rotation of an authority got."""
    names = {issuer.name: issuer.signs for issuer in issuers(speaker, mount)}
    if RETIRED in names:
        return "retired"
    if not {CURRENT, NEXT} <= names.keys():
        return None
    return "switched" if names[NEXT] else "staged"


def mark(speaker: Any, mount: str, wanted: State) -> None:
    """Bring an authority to a state. Done before: nothing."""
    if state(speaker, mount) == wanted:
        return
    match wanted:
        case "staged":
            clear(speaker, mount)
            speaker.write_data(f"{mount}/issuers/import/{NEXT}", data=NEW_KEY)
        case "switched":
            speaker.write_data(f"{mount}/config/issuers", data={"default": NEXT})
        case "retired":
            speaker.write_data(f"{mount}/issuer/{CURRENT}", data={"issuer_name": RETIRED})


def clear(speaker: Any, mount: str) -> None:
    """Delete the key that was retired, and give the one that is left the name of one that is alone."""
    if retired(speaker, mount):
        speaker.delete(f"{mount}/issuer/{RETIRED}")
    # One that was never rotated has no name; one whose rotation ended here has the name of the one that came.
    if [issuer.name for issuer in issuers(speaker, mount)] not in ([CURRENT], []):
        speaker.write_data(f"{mount}/issuer/default", data={"issuer_name": CURRENT})


def rules(mount: str) -> dict[str, dict[str, Any]]:
    """What rotating an authority takes: exact paths, and no key but one that OpenBao makes itself."""
    return {
        f"{mount}/issuers": {"capabilities": ["list"]},
        f"{mount}/issuers/import/{NEXT}": {"capabilities": ["update"], "allowed_parameters": ONLY_MADE_THERE},
        f"{mount}/config/issuers": {"capabilities": ["update"], "allowed_parameters": {"default": [NEXT]}},
        f"{mount}/issuer/{CURRENT}": _renamed(RETIRED),
        f"{mount}/issuer/default": _renamed(CURRENT),
        f"{mount}/issuer/{RETIRED}": {"capabilities": ["delete"]},
    }


def _renamed(name: str) -> dict[str, Any]:
    return {"capabilities": ["update"], "allowed_parameters": {"issuer_name": [name]}}
