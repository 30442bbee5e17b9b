"""People in OpenBao: by name, with a password and a second factor (TOTP, RFC 6238)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hvac.exceptions import Forbidden, InvalidRequest

from socle.errors import ExitCode, SocleError
from socle.vault import canary
from socle.vault.api import client, plainly
from socle.vault.custody import Shares
from socle.vault.duties import PERSON, person, policies_of
from socle.vault.place import Place
from socle.vault.policies import text
from socle.vault.quorum import root
from socle.vault.seal import active_node

MOUNT = "userpass"
METHOD = "people"
SHORTEST = 15
"""Characters of a password: ANSSI, Authentification multifacteur et mots de passe, R23."""

TOTP = {
    "period": 30,
    "digits": 6,
    "algorithm": "SHA256",
    "key_size": 32,
    "skew": 1,
    "max_validation_attempts": 5,
}
SESSION = {"token_ttl": "1h", "token_max_ttl": "8h", "token_no_default_policy": True}
LOCKOUT = {"lockout_threshold": "5", "lockout_duration": "15m", "lockout_counter_reset_duration": "15m"}


@dataclass(frozen=True)
class Enrolment:
    """The second factor of a person, told once."""

    url: str
    """``otpauth://totp/…``, as authenticators take it."""

    picture: str
    """The same as a QR code: PNG in base64."""


def configure(speaker: Any, place: Place) -> None:
    """People log in with both factors or not at all; those who left lose theirs; roles are as said.

    The canary of probes has its identity for good, so that a login that is tried leaves none behind.
    """
    if f"{MOUNT}/" not in speaker.sys.list_auth_methods()["data"]:
        speaker.sys.enable_auth_method(MOUNT)
    speaker.write_data(f"sys/auth/{MOUNT}/tune", data={"user_lockout_config": LOCKOUT})
    accessor = _accessor(speaker)
    speaker.sys.create_or_update_acl_policy(PERSON, text(person(accessor)), pretty_print=False)
    method = _method(speaker, place)
    enforced = {"mfa_method_ids": [method], "auth_method_accessors": [accessor]}
    speaker.write_data(f"identity/mfa/login-enforcement/{METHOD}", data=enforced)
    listed = speaker.list(f"auth/{MOUNT}/users")
    for login in listed["data"]["keys"] if listed else []:
        if login in place.people:
            _give_roles(speaker, place, login)
        else:
            _remove(speaker, login)
    _entity(speaker, canary.LOGIN)


def _accessor(speaker: Any) -> str:
    return str(speaker.sys.list_auth_methods()["data"][f"{MOUNT}/"]["accessor"])


def _method(speaker: Any, place: Place) -> str:
    """The identifier of the second factor; made when it is missing."""
    listed = speaker.list("identity/mfa/method/totp")
    known = listed["data"]["key_info"] if listed else {}
    for identifier, facts in known.items():
        if facts.get("name") == METHOD:
            return str(identifier)
    wanted = {"method_name": METHOD, "issuer": place.title, **TOTP}
    return str(speaker.write_data("identity/mfa/method/totp", data=wanted)["data"]["method_id"])


def _give_roles(speaker: Any, place: Place, login: str) -> None:
    """A person whose roles changed logs in anew.

    Sessions end before the roles are written, by which the next call would know that all is done, and once
    more afterwards: those that began in between.
    """
    path = f"auth/{MOUNT}/users/{login}"
    wanted = policies_of(place.people[login])
    if sorted(speaker.read(path)["data"]["token_policies"]) != sorted(wanted):
        _end_sessions(speaker, login)
        speaker.write_data(path, data={"token_policies": wanted})
        _end_sessions(speaker, login)


def _remove(speaker: Any, login: str) -> None:
    """Without the entity there is no second factor, so no session begins any more; the account goes last."""
    speaker.delete(f"identity/entity/name/{login}")
    _end_sessions(speaker, login)
    speaker.delete(f"auth/{MOUNT}/users/{login}")


def _end_sessions(speaker: Any, login: str) -> None:
    speaker.write_data(f"sys/leases/revoke-prefix/auth/{MOUNT}/login/{login}", data={})


def enrol(place: Place, shares: Shares, login: str, password: str) -> Enrolment:
    """Give a person of people.yml their account, allowed by a quorum: nobody alone can become somebody else.

    What the person had before is dead: the password, the second factor and the sessions.

    Raises:
        SocleError: nobody of that name, the password is too short, or the quorum is not there.
    """
    if login not in place.people:
        raise SocleError(
            f"`{login}` is nobody of people.yml",
            expected=", ".join(place.people) or "a person in people.yml",
            exit_code=ExitCode.USAGE,
        )
    if len(password) < SHORTEST:
        raise SocleError(
            "the password is too short", expected=f"{SHORTEST} characters or more", exit_code=ExitCode.USAGE
        )
    with root(place, shares, f"{login} is enrolled", f"enrol {login}") as speaker, plainly(place):
        return _enrol(speaker, place, login, password)


def _enrol(speaker: Any, place: Place, login: str, password: str) -> Enrolment:
    """The password comes last: until then the person cannot log in, whatever was killed."""
    configure(speaker, place)
    speaker.delete(f"auth/{MOUNT}/users/{login}")
    _end_sessions(speaker, login)
    entity, method = _entity(speaker, login), _method(speaker, place)
    factor = {"method_id": method, "entity_id": entity}
    speaker.write_data("identity/mfa/method/totp/admin-destroy", data=factor)
    made = speaker.write_data("identity/mfa/method/totp/admin-generate", data=factor)["data"]
    account = {"password": password, "token_policies": policies_of(place.people[login]), **SESSION}
    speaker.write_data(f"auth/{MOUNT}/users/{login}", data=account)
    return Enrolment(made["url"], made["barcode"])


def _entity(speaker: Any, login: str) -> str:
    path = f"identity/entity/name/{login}"
    speaker.write_data(path, data={"disabled": False})
    entity = str(speaker.read(path)["data"]["id"])
    alias = {"name": login, "canonical_id": entity, "mount_accessor": _accessor(speaker)}
    speaker.write_data("identity/entity-alias", data=alias)
    return entity


def log_in(place: Place, login: str, password: str, code: str) -> Any:
    """A client that is logged in as a person.

    Args:
        code: what the authenticator shows; good once.

    Raises:
        SocleError: not enrolled, or one of the factors is not right; it is not said which.
    """
    speaker = client(place, active_node(place))
    path = f"/v1/auth/{MOUNT}/login/{quote(login, safe='')}"
    with plainly(place):
        try:
            # Both factors in one request: OpenBao 2.4.0 forgets the session of a login in two steps.
            headers = {"X-Vault-MFA": f"{METHOD}:{code}"}
            answer = speaker.adapter.post(path, json={"password": password}, headers=headers)
        except (InvalidRequest, Forbidden) as error:
            raise SocleError(
                f"{login} is not logged in",
                where=speaker.url,
                expected="the person's password and a code that was not used before",
                write="try again with the next code, or see that the person is enrolled",
            ) from error
    speaker.token = answer["auth"]["client_token"]
    return speaker
