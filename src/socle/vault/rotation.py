"""How a rotation's states are written to OpenBao, and how machines' logins are replaced there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hvac.exceptions import InvalidPath, InvalidRequest

from socle import credentials, durable
from socle.catalogue import Catalogue
from socle.credentials import State, Values
from socle.errors import ExitCode, SocleError
from socle.vault import issuers, ssh
from socle.vault.api import client, plainly
from socle.vault.configuration import is_configured
from socle.vault.generated import KINDS
from socle.vault.login import WRAP_TTL, token_of
from socle.vault.mounts import KV
from socle.vault.place import DEPLOYER, Place
from socle.vault.policies import ROTATION
from socle.vault.rotation_targets import Authority, Login, Secret
from socle.vault.seal import active_node

type Changes = dict[str, str | None]
"""New values of a component's entry; None removes."""

NOT_KEPT = ("other", "rotation")


class Rotation:
    """OpenBao as whoever rotates sees it; a token of two hours.

    Raises:
        SocleError: OpenBao is not configured as the site's files want it (exit code 4).
    """

    def __init__(self, place: Place, catalogue: Catalogue) -> None:
        self.place, self.catalogue = place, catalogue
        if not is_configured(place):
            raise SocleError(
                "OpenBao does not know all that the site's files say",
                write="run `socle deploy`",
                exit_code=ExitCode.PREREQUISITE,
            )
        self.speaker: Any = client(place, active_node(place), token_of(place, ROTATION))

    def state(self, secret: Secret | Authority) -> State | None:
        """How far the rotation of a secret or an authority got."""
        if isinstance(secret, Authority):
            with plainly(self.place):
                return issuers.state(self.speaker, secret.mount)
        return credentials.state_of(self._read(secret)[0], secret.name)

    def mark(self, secret: Secret | Authority, state: State) -> None:
        """Bring a secret to a state, with the new value where it begins. Done before: nothing."""
        if isinstance(secret, Authority):
            with plainly(self.place):
                issuers.mark(self.speaker, secret.mount, state)
            self.keep_authorities()
            return
        values, version = self._read(secret)
        if credentials.state_of(values, secret.name) != state:
            self._write(secret, changes(secret, state, values, self._maker(secret)), version)

    def keep_authorities(self) -> None:
        """See that this machine trusts what OpenBao says: a run may have ended between the two."""
        with plainly(self.place):
            ssh.keep_authorities(self.speaker, self.place)

    def clear(self, secret: Secret | Authority) -> None:
        """Forget the old value and that there was a rotation."""
        if isinstance(secret, Authority):
            with plainly(self.place):
                issuers.clear(self.speaker, secret.mount)
            return
        values, version = self._read(secret)
        gone = list(NOT_KEPT) + (["former"] if secret.technique == "credential" else [])
        removed: Changes = {f"{secret.name}_{end}": None for end in gone if f"{secret.name}_{end}" in values}
        if removed:
            self._write(secret, removed, version)

    def accessors(self, login: Login) -> list[str]:
        """The SecretIDs that a login has now, by their accessors, which are no secrets."""
        with plainly(self.place):
            found = self.speaker.list(f"auth/approle/role/{login.role}/secret-id")
        return list(found["data"]["keys"]) if found else []

    def destroy(self, login: Login, accessors: list[str]) -> None:
        """End SecretIDs, and make sure that OpenBao knows them no more.

        Raises:
            SocleError: one is still there.
        """
        path = f"auth/approle/role/{login.role}/secret-id-accessor/destroy"
        with plainly(self.place):
            for accessor in accessors:
                self.speaker.write_data(path, data={"secret_id_accessor": accessor})
        left = set(self.accessors(login)) & set(accessors)
        if left:
            raise SocleError(f"{len(left)} former SecretIDs are still accepted", where=login.path)

    def new_deployer_login(self) -> None:
        """Replace the login of this machine; the file holds the new one before the former one ends."""
        file = self.place.folder / DEPLOYER
        known = durable.read_json(file) or {}
        path = "auth/approle/role/deployer/secret-id"
        with plainly(self.place):
            guest = client(self.place, active_node(self.place))
            wrapped = self.speaker.write_data(path, data={}, wrap_ttl=WRAP_TTL)["wrap_info"]["token"]
            guest.token = wrapped
            secret_id = guest.sys.unwrap()["data"]["secret_id"]
            guest.auth.approle.login(known["role_id"], secret_id)
        durable.write_json(file, {"role_id": known["role_id"], "secret_id": secret_id})

    def _maker(self, secret: Secret) -> Callable[[], str]:
        kinds = self.place.secrets[secret.component]
        return KINDS[kinds.get(secret.name) or kinds[f"{secret.name}_{credentials.RING[0]}"]]

    def _read(self, secret: Secret) -> tuple[Values, int]:
        with plainly(self.place):
            try:
                answer = self.speaker.read(f"{KV}/data/services/{secret.component}")
            except InvalidPath:
                answer = None
        if answer is None:
            raise SocleError("is not in OpenBao", where=secret.path, write="run `socle deploy`")
        return answer["data"]["data"], int(answer["data"]["metadata"]["version"])

    def _write(self, secret: Secret, new: Mapping[str, str | None], version: int) -> None:
        """Check-and-set: what somebody else changed meanwhile is not overwritten."""
        path = f"/v1/{KV}/data/services/{secret.component}"
        headers = {"Content-Type": "application/merge-patch+json"}
        body = {"options": {"cas": version}, "data": new}
        with plainly(self.place):
            try:
                self.speaker.adapter.request("patch", path, headers=headers, json=body)
            except InvalidRequest as error:
                if "check-and-set" not in str(error):
                    raise
                raise SocleError(
                    "was changed by somebody else meanwhile", where=secret.path, write="run the command again"
                ) from error


def changes(secret: Secret, state: State, values: Values, make: Callable[[], str]) -> Changes:
    """What OpenBao's entry of a component becomes when a secret enters a state; one write, all or nothing."""
    name = secret.name
    noted: Changes = {f"{name}_rotation": state}
    match secret.technique, state:
        case "account", "staged":
            return noted | {f"{name}_other": make()}
        case "account", "switched":
            used = credentials.account(values, secret.component, name)
            other = credentials.counterpart(used.name, secret.component)
            return noted | {
                name: str(values[f"{name}_other"]),
                f"{name}_account": other,
                f"{name}_other": used.password,
            }
        case "value", "switched":
            return noted | {name: make(), f"{name}_other": str(values[name])}
        case (("fernet" | "credential"), "switched"):
            return noted | _turned(values, name, make)
        case _:
            return noted


def _turned(values: Values, name: str, make: Callable[[], str]) -> Changes:
    """A ring one further: the key that waited writes, the one that wrote only reads, a new one waits."""
    staged, primary = (f"{name}_{key}" for key in credentials.RING)
    number = max(credentials.ring(values, name))
    return {
        staged: make(),
        primary: str(values[staged]),
        f"{name}_former": str(values[primary]),
        f"{name}_number": str(number + 1),
    }
