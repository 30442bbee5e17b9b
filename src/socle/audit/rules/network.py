"""Rules on what listeners answer and what answers at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from socle.audit.rules.conditions import shown
from socle.audit.rules.registry import Deviation, Others, Unreadable, rule


@rule("reached as the matrix says")
def reached_as_the_matrix_says(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """From one zone exactly the ports of the flow matrix answer, of the ports that were tried.

    Args:
        value: ``addresses``, each with ``reached`` and ``allowed``, and ``ports``: how many were tried.
        expect: ``zone`` keeps the addresses of one zone, and then nothing at all may answer there when
            ``nothing`` is true, while something that the matrix allows must answer elsewhere: else nothing
            shows that packets leave; ``ports``: how few would prove nothing.
    """
    judged = [one for one in value["addresses"] if expect.get("zone") in (None, one["zone"])]
    if not judged:
        raise Unreadable("aucune adresse n’a été essayée")
    if value["ports"] < expect.get("ports", 1):
        raise Unreadable(f"{value['ports']} ports essayés, trop peu pour conclure")
    found = list(_other_than_allowed(value, judged, nothing=bool(expect.get("nothing"))))
    if expect.get("nothing") and not found and not any(_answers(one) for one in value["addresses"]):
        raise Unreadable(f"rien de ce que la matrice permet à {value['from']} ne lui a répondu")
    yield from found


def _answers(one: Mapping[str, Any]) -> bool:
    return bool(set(one["allowed"]) & set(one["reached"]))


def _other_than_allowed(
    value: Mapping[str, Any], judged: Iterable[Mapping[str, Any]], nothing: bool
) -> Iterator[Deviation]:
    for one in judged:
        allowed = set() if nothing else set(one["allowed"])
        for port in sorted(set(one["reached"]) - allowed):
            yield Deviation(f"{one['name']} port {port}", "aucune réponse", f"répond à {value['from']}")
        for port in sorted(allowed - set(one["reached"])):
            yield Deviation(f"{one['name']} port {port}", "une réponse, d’après la matrice", "aucune")


@rule("strangers are refused")
def strangers_are_refused(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """A listener that the catalogue calls ``mutual`` refuses a handshake without a certificate."""
    if value["mutual"] and value["stranger"] != "refused":
        yield Deviation("", "refus sans certificat", shown(value["stranger"]))


@rule("key sizes")
def key_sizes(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """The key of a certificate is of a family that ``expect`` names, with so many bits or more."""
    least = expect.get(value["key"])
    if least is None:
        yield Deviation("key", ", ".join(expect), shown(value["key"]))
    elif value["bits"] < least:
        yield Deviation("bits", f"au moins {least}", shown(value["bits"]))


@rule("login comes first")
def login_comes_first(value: Any, expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Without a login a service shows its versions, a page to log in, a refusal or nothing; never data.

    Args:
        value: status and kind of the root, and of a path that wants a login, where the service has one.
        expect: ``refused``: statuses of that path; a redirection counts when it leads to the login.
    """
    if value["root_kind"] not in ("versions", "login", "empty", "refusal"):
        yield Deviation("/", "versions, connexion ou refus", shown(value["root_kind"]))
    if value["protected"] is None:
        if value["root_kind"] != "refusal":
            yield Deviation("/", "un refus sans jeton", shown(value["root_kind"]))
    elif value["protected"] not in expect["refused"] and not value["to_login"]:
        yield Deviation("chemin protégé", "un refus ou la page de connexion", shown(value["protected"]))


CARRIES_TUNNEL = (
    r"^oif(name)? lo$",
    r"^(in )?state (established|related)(,(established|related))?$",
    r'(?<!!= )\{"rt": \{"key": "ipsec"\}\} True( |$)',
    r"^(to [0-9./,]+ )?(protocol (50|esp)|udp (500|4500|4500,500|500,4500))$",
    r"^udp from port 68 udp 67$",
)
"""What a station may let out beside its tunnel: itself, answers, what IPsec takes, IKE and ESP, and DHCP."""


@rule("tunnel only")
def tunnel_only(value: Any, _expect: Mapping[str, Any], _others: Others) -> Iterator[Deviation]:
    """Output is closed by default, IPv6 too, and each way out carries the tunnel or goes through it."""
    families = {hook.partition(" ")[0] for hook in value["closed"]}
    for family, said in (("ip", "IPv4"), ("ip6", "IPv6")):
        if not families & {"inet", family}:
            yield Deviation("output", f"fermée par défaut en {said}", "ouverte")
    for line in value["accepts"]:
        if not any(re.search(form, line) for form in CARRIES_TUNNEL):
            yield Deviation("output", "rien hors du tunnel", line)
