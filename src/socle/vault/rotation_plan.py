"""The steps of a rotation, from what is wanted and how far each secret got before: nothing here has effects.

A secret goes through states that OpenBao keeps (``socle.credentials``). What a state asks for is done after
the state is written, and the next state is written when that is done; so whoever is killed leaves a state
whose work can be done again, and both the old and the new value until the old one is proved dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from socle.credentials import STATES, State
from socle.vault.rotation_targets import Certificates, Login, Secret, Target

NOTED: Mapping[State, str] = {
    "staged": "new secrets are made",
    "switched": "the new are to be used",
    "retired": "the old are to be dropped",
}
TITLES: Mapping[State, str] = {
    "staged": "servers take the new beside the old",
    "switched": "services change to the new",
    "retired": "servers drop the old",
}


@dataclass(frozen=True)
class Mark:
    """Write in OpenBao that these secrets enter a state."""

    secrets: tuple[Secret, ...]
    state: State

    @property
    def title(self) -> str:
        """What a person reads."""
        return NOTED[self.state]


@dataclass(frozen=True)
class Play:
    """Run roles, each on its own hosts.

    Args:
        rolling: one controller after another.
        migrates: Keystone encrypts its credentials with the new key afterwards.
    """

    roles: tuple[str, ...]
    title: str
    rolling: bool = False
    migrates: bool = False


@dataclass(frozen=True)
class Prove:
    """Log in with the old, which must be refused, and with the new."""

    secrets: tuple[Secret, ...]

    title = "the old is refused"


@dataclass(frozen=True)
class Clear:
    """Forget the old: the rotation of these secrets is over."""

    secrets: tuple[Secret, ...]

    title = "OpenBao forgets the old"


@dataclass(frozen=True)
class NewLogins:
    """Give machines new SecretIDs, and end the former ones once the new ones were used."""

    logins: tuple[Login, ...]

    title = "logins to OpenBao"


@dataclass(frozen=True)
class NewCertificates:
    """Issue all certificates of these hosts anew, with new keys."""

    hosts: tuple[str, ...]

    title = "certificates"


type Step = Mark | Play | Prove | Clear | NewLogins | NewCertificates


def plan(wanted: Iterable[Target], states: Mapping[str, State | None], order: Sequence[str]) -> list[Step]:
    """What is to be done, in order.

    Args:
        states: of each secret by path, how far a rotation that was interrupted got.
        order: the roles in the order of a deployment.
    """
    wanted = list(wanted)
    secrets = tuple(target for target in wanted if isinstance(target, Secret))
    steps = [step for state in STATES for step in _state(state, secrets, states, order)]
    if secrets:
        steps += [Prove(secrets), Clear(secrets)]
    logins = tuple(target for target in wanted if isinstance(target, Login))
    if logins:
        steps.append(NewLogins(logins))
    hosts = tuple(target.host for target in wanted if isinstance(target, Certificates))
    if hosts:
        steps.append(NewCertificates(hosts))
    return steps


def _state(
    state: State, secrets: Iterable[Secret], states: Mapping[str, State | None], order: Sequence[str]
) -> list[Step]:
    """One state: written for those that are before it, worked for those that are not beyond it."""
    before = tuple(s for s in secrets if state in s.states and _rank(states.get(s.path)) < _rank(state))
    within = [s for s in secrets if state in s.states and _rank(states.get(s.path)) <= _rank(state)]
    steps: list[Step] = [Mark(before, state)] if before else []
    if state == "switched":
        names = {role for s in within for role in s.readers}
    else:
        names = {s.server for s in within if s.server}
    roles = tuple(role for role in order if role in names)
    if roles:
        switches = state == "switched"
        migrates = switches and any(s.technique == "credential" for s in within)
        steps.append(Play(roles, TITLES[state], rolling=switches, migrates=migrates))
    return steps


def _rank(state: State | None) -> int:
    return STATES.index(state) if state else -1
