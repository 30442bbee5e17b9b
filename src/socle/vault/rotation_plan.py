"""The steps of a rotation, from what is wanted and how far each secret got before: nothing here has effects.

A secret goes through states that OpenBao keeps (``socle.credentials``). What a state asks for is done after
the state is written, and the next state is written when that is done; so whoever is killed leaves a state
whose work can be done again, and both the old and the new value until the old one is proved dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from socle.credentials import STATES, State
from socle.vault.rotation_targets import Authority, Certificates, Login, Secret, Target

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
    """Write in OpenBao that these enter a state."""

    secrets: tuple[Secret | Authority, ...]
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
class Certify:
    """Have certificates of SSH signed by the new authorities, and see that they open sessions."""

    authorities: tuple[Authority, ...]

    title = "SSH certificates of the new authorities"


@dataclass(frozen=True)
class ProveAuthorities:
    """Show certificates that the old authorities signed, which must be refused."""

    authorities: tuple[Authority, ...]

    title = "the old authorities are refused"


@dataclass(frozen=True)
class Clear:
    """Forget the old: the rotation of these is over."""

    secrets: tuple[Secret | Authority, ...]

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


type Step = Mark | Play | Certify | Prove | ProveAuthorities | Clear | NewLogins | NewCertificates


def plan(wanted: Iterable[Target], states: Mapping[str, State | None], order: Sequence[str]) -> list[Step]:
    """What is to be done, in order.

    Args:
        states: of each secret and authority by path, how far a rotation that was interrupted got.
        order: the roles in the order of a deployment.
    """
    wanted = list(wanted)
    secrets = tuple(target for target in wanted if isinstance(target, Secret))
    authorities = tuple(target for target in wanted if isinstance(target, Authority))
    turned: tuple[Secret | Authority, ...] = (*secrets, *authorities)
    steps = [step for state in STATES for step in _state(state, turned, states, order)]
    if secrets:
        steps.append(Prove(secrets))
    if authorities:
        steps.append(ProveAuthorities(authorities))
    if turned:
        steps.append(Clear(turned))
    logins = tuple(target for target in wanted if isinstance(target, Login))
    if logins:
        steps.append(NewLogins(logins))
    hosts = tuple(target.host for target in wanted if isinstance(target, Certificates))
    if hosts:
        steps.append(NewCertificates(hosts))
    return steps


def _state(
    state: State,
    secrets: Iterable[Secret | Authority],
    states: Mapping[str, State | None],
    order: Sequence[str],
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
        migrates = switches and any(isinstance(s, Secret) and s.technique == "credential" for s in within)
        steps.append(Play(roles, TITLES[state], rolling=switches, migrates=migrates))
    certified = tuple(s for s in within if isinstance(s, Authority))
    if certified and state == "switched":
        steps.append(Certify(certified))
    return steps


def _rank(state: State | None) -> int:
    return STATES.index(state) if state else -1
