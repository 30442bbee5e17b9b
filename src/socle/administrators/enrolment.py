"""A person's account at Keystone: by name, with a password and a second factor (TOTP, RFC 6238)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from openstack.exceptions import raise_from_response

from socle.catalogue.accounts import DOMAIN, DUTIES, FACTORS, roles_of
from socle.errors import ExitCode, SocleError
from socle.tenants.session import Session
from socle.vault.api import plainly
from socle.vault.custody import Shares
from socle.vault.people import SHORTEST, Enrolment
from socle.vault.place import Place
from socle.vault.quorum import root

MAKER = "enrolment"
"""Where OpenBao makes a seed and draws it; there for one enrolment only."""

TOTP = {
    "generate": True,
    "exported": True,
    "algorithm": "SHA1",
    "period": 30,
    "digits": 6,
    "key_size": 20,
    "qr_size": 200,
}
"""The only codes that Keystone takes (HMAC-SHA-1), and the 160 bits of seed that RFC 4226 (R6) recommends.

Source: https://docs.openstack.org/keystone/2025.1/admin/auth-totp.html
"""


def enrol(session: Session, place: Place, shares: Shares, login: str, password: str) -> Enrolment:
    """Give a person of people.yml their account, allowed by a quorum: nobody alone can become somebody else.

    What the person had before is dead: password, second factor, tokens, application credentials. The seed is
    in what is returned, and at Keystone, which encrypts it.

    Args:
        session: the deployer's.

    Raises:
        SocleError: the person has no duty at Keystone, the password is too short, the quorum is not there, or
            the cloud does not answer.
    """
    roles = roles_of(place.people.get(login, ()))
    if not roles:
        raise SocleError(
            f"`{login}` is nobody of people.yml with work in the cloud",
            expected=f"a person with one of the roles {', '.join(DUTIES)}",
            exit_code=ExitCode.USAGE,
        )
    if len(password) < SHORTEST:
        raise SocleError(
            "the password is too short", expected=f"{SHORTEST} characters or more", exit_code=ExitCode.USAGE
        )
    with root(place, shares, f"{login} is enrolled in the cloud", f"enrol {login}") as speaker:
        with plainly(place):
            made = factor(speaker, place.title, login)
        with session.cloud() as cloud:
            _give(cloud.identity, login, password, _seed(made), roles)
    return made


def factor(speaker: Any, issuer: str, login: str) -> Enrolment:
    """A new second factor, which OpenBao makes and forgets."""
    if f"{MAKER}/" in speaker.sys.list_mounted_secrets_engines()["data"]:
        speaker.sys.disable_secrets_engine(MAKER)  # of a run that was killed
    speaker.sys.enable_secrets_engine("totp", path=MAKER)
    try:
        wanted = {**TOTP, "issuer": issuer, "account_name": login}
        made = speaker.write_data(f"{MAKER}/keys/{login}", data=wanted)["data"]
    finally:
        speaker.sys.disable_secrets_engine(MAKER)
    return Enrolment(made["url"], made["barcode"])


def _seed(made: Enrolment) -> str:
    return parse_qs(urlsplit(made.url).query)["secret"][0]


def _give(identity: Any, login: str, password: str, seed: str, roles: tuple[str, ...]) -> None:
    """The account is opened last: until then the person cannot log in, whatever was killed."""
    domain = identity.find_domain(DOMAIN, ignore_missing=False).id
    project = identity.find_project(DOMAIN, domain_id=domain, ignore_missing=False).id
    user = _closed(identity, login, domain, project)
    for kind, path in (
        ("credentials", f"/credentials?user_id={user}"),
        ("application_credentials", f"/users/{user}/application_credentials"),
    ):
        for entry in _call(identity, "get", path)[kind]:
            _call(identity, "delete", f"{path.partition('?')[0]}/{entry['id']}")
    _call(identity, "post", "/credentials", credential={"type": "totp", "blob": seed, "user_id": user})
    for role in roles:
        number = identity.find_role(role, ignore_missing=False).id
        _call(identity, "put", f"/projects/{project}/users/{user}/roles/{number}")
    opened = {"enabled": True, "password": password, "options": dict(FACTORS)}
    _call(identity, "patch", f"/users/{user}", user=opened)


def _closed(identity: Any, login: str, domain: str, project: str) -> str:
    """The number of the person's account, which lets nobody in; it stays the same, for the logs name it."""
    found = _call(identity, "get", f"/users?domain_id={domain}&name={login}")["users"]
    body = {"enabled": False, "options": dict(FACTORS)}
    if found:
        return str(_call(identity, "patch", f"/users/{found[0]['id']}", user=body)["user"]["id"])
    body |= {"name": login, "domain_id": domain, "default_project_id": project}
    return str(_call(identity, "post", "/users", user=body)["user"]["id"])


def _call(identity: Any, method: str, path: str, **body: Any) -> Any:
    """A request that openstacksdk has no words for; the answer."""
    answer = identity.request(path, method.upper(), json=body or None)
    raise_from_response(answer)
    return answer.json() if answer.content else {}
