"""Probes of OpenBao: a revoked token, and the login of people without a second factor or after failures."""

from __future__ import annotations

import http.client
import secrets
from collections.abc import Iterator
from typing import Any, Final

import requests
from hvac.exceptions import Forbidden, InvalidPath

from socle import vault
from socle.audit.collect.collector import FactKind, of_site
from socle.audit.model import Fact
from socle.audit.probe.journal import Made
from socle.audit.probe.model import Ground, Probe, answer
from socle.errors import SocleError
from socle.vault import Place, canary
from socle.vault.people import LOCKOUT, METHOD, MOUNT
from socle.vault.seal import active_node
from socle.vault.trust import trust_file

SECONDS: Final = 20
LIMIT: Final = int(LOCKOUT["lockout_threshold"])


def lookup(speaker: Any) -> bool:
    """Whether a token may still look at itself."""
    try:
        speaker.read("auth/token/lookup-self")
    except Forbidden:
        return False
    return True


def _token(ground: Ground) -> Iterator[Fact]:
    place = ground.canaries.place
    with vault.plainly(place):
        speaker = vault.canary_client(place)
        before = lookup(speaker)
        speaker.auth.token.revoke_self()
        after = lookup(speaker)
    yield TOKEN.told(ground.site.name, {"before": answer(before), "after": answer(after)})


def log_in(place: Place, secret: str, code: str | None = None) -> str:
    """What one login of the canary gets: ``token``, ``second factor`` (it is asked for), or ``refused``.

    Raises:
        SocleError: OpenBao says something else.
    """
    said = requests.post(
        f"{active_node(place).url}/v1/auth/{MOUNT}/login/{canary.LOGIN}",
        json={"password": secret},
        headers={"X-Vault-MFA": f"{METHOD}:{code}"} if code else {},
        verify=str(trust_file(place)),
        timeout=SECONDS,
    )
    if said.status_code == http.client.OK:
        auth = said.json()["auth"]
        return "token" if auth["client_token"] else "second factor" if auth["mfa_requirement"] else "nothing"
    if said.status_code in {http.client.BAD_REQUEST, http.client.FORBIDDEN}:
        return "refused"
    raise SocleError(f"réponse {said.status_code}", where="OpenBao")


def _login(ground: Ground) -> Iterator[Fact]:
    place, secret = ground.canaries.place, secrets.token_urlsafe(24)
    ground.canaries.announce(Made("person", canary.LOGIN))
    yield LOGIN.told(ground.site.name, tried(place, secret))


def tried(place: Place, secret: str) -> dict[str, Any]:
    """The canary's account made, and all trials of its login, in an order in which none spoils the next."""
    with vault.plainly(place):
        speaker = vault.canary_client(place)
        account = {"password": secret, "token_ttl": "1m", "token_no_default_policy": True}
        speaker.write_data(canary.USER, data=account)
        unlock(place, speaker)
        wrong_password = log_in(place, secrets.token_urlsafe(24))
        password_alone = log_in(place, secret)
        wrong_code = log_in(place, secret, "000000")
        wrong = [log_in(place, secrets.token_urlsafe(24)) for _n in range(LIMIT)]
        after = log_in(place, secret)
    return {
        "wrong_password": wrong_password,
        "password_alone": password_alone,
        "wrong_code": wrong_code,
        "failures": wrong.count("refused"),
        "after_failures": after,
    }


def unlock(place: Place, speaker: Any) -> None:
    """Let the canary try again at once; a lock outlives the account."""
    accessor = vault.auditor_client(place).read("sys/auth")["data"][f"{MOUNT}/"]["accessor"]
    try:
        speaker.write_data(f"sys/locked-users/{accessor}/unlock/{canary.LOGIN}", data={})
    except InvalidPath:
        return  # nothing is locked


def remove(place: Place) -> None:
    """Remove the canary's account and its lock. Safe to kill and to repeat."""
    with vault.plainly(place):
        speaker = vault.canary_client(place)
        speaker.delete(canary.USER)
        unlock(place, speaker)


TOKEN: Final = Probe(
    name="openbao-token",
    fact=FactKind("probe.openbao_token", of_site, "Un jeton d’OpenBao révoqué, présenté de nouveau"),
    tried="un jeton du rôle canari, avant et après sa révocation",
    effects="une ouverture de session et une révocation dans les journaux d’audit d’OpenBao",
    run=_token,
)
LOGIN: Final = Probe(
    name="openbao-login",
    fact=FactKind(
        "probe.openbao_login", of_site, "La connexion à OpenBao d’une personne, par un compte canari"
    ),
    tried=(
        "le mot de passe d’un compte canari sans second facteur, puis avec un code faux, puis après"
        f" {LIMIT} mots de passe faux"
    ),
    effects=(
        f"le compte {canary.LOGIN}, sans aucun droit, supprimé et déverrouillé ensuite ; des échecs dans les"
        " journaux d’audit d’OpenBao"
    ),
    run=_login,
)
PROBES: Final = (TOKEN, LOGIN)
