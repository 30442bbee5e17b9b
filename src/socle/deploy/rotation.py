"""``socle vault rotate``: the steps of a rotation, done one after the other on the site."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from socle import catalogue, vault
from socle.deploy import journal, lock, ssh_proof, survey
from socle.deploy.copying import COPY, copy_openbao
from socle.deploy.phases import Phase, Reporter, execute
from socle.deploy.playbook import Playbooks
from socle.paths import state_dir
from socle.vault import snapshots
from socle.vault.rotation import Rotation
from socle.vault.rotation_plan import (
    Certify,
    Clear,
    Mark,
    NewCertificates,
    NewLogins,
    Play,
    Prove,
    ProveAuthorities,
    Step,
    plan,
)
from socle.vault.rotation_targets import Authority, Login, Secret, Target, chosen, targets

if TYPE_CHECKING:
    from socle.deploy.events import Outcome
    from socle.deploy.progress import Screen
    from socle.site import Site


@dataclass
class RotationRun:
    """One run of ``socle vault rotate``.

    Args:
        name: of what is rotated; everything when None.
    """

    site: Site
    screen: Screen
    name: str | None
    run: journal.Run = field(init=False)
    wanted: list[Target] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    """Secrets and authorities whose rotation was interrupted before."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _environment: dict[str, str] = field(default_factory=dict)
    _lock: int = -1

    def go(self) -> journal.Run:
        """Rotate, and return the record of the run.

        Raises:
            SocleError: nothing has that name (exit code 2), or as the step that failed says.
        """
        place = vault.place_of(self.site, catalogue.load())
        self.wanted = chosen(self.name, targets(place, catalogue.load()))
        state = state_dir(self.site.name)
        command = f"vault rotate {self.name or '--all'}"
        with lock.hold(state / "lock") as self._lock:
            last = journal.last_seconds(state, command)
            self.run = journal.begin(state, command)
            with self.run.recorded(), self.screen.live():
                phases = self._phases(Rotation(place, catalogue.load()))
                self._environment = vault.ansible_environment(place)
                execute(phases, lambda: Reporter(self.run, self.screen, last), self._stopping.set)
        return self.run

    def _phases(self, rotation: Rotation) -> list[Phase]:
        states = {s.path: rotation.state(s) for s in self.wanted if isinstance(s, Secret | Authority)}
        if any(isinstance(target, Authority) for target in self.wanted):
            rotation.keep_authorities()
        self.resumed = [path for path, state in states.items() if state]
        steps = plan(self.wanted, states, list(catalogue.load().components))
        # A copy from before would bring passwords back that nothing takes any more.
        snapshots.owe(rotation.place)
        work = [(step.title, partial(self._do, step, rotation)) for step in steps]
        work.append((COPY, partial(copy_openbao, self.site)))
        before: list[tuple[str, ...]] = [(), *((name,) for name, _do in work)]
        return [Phase(name, do, after) for (name, do), after in zip(work, before, strict=False)]

    def _do(self, step: Step, rotation: Rotation, reporter: Reporter) -> None:
        match step:
            case Mark(secrets, state):
                for secret in secrets:
                    reporter.tell(secret.path)
                    rotation.mark(secret, state)
                reporter.did(len(secrets))
            case Play():
                self._roles(step, reporter)
            case Prove(secrets):
                self._prove(secrets, reporter)
            case Certify() | ProveAuthorities():
                self._authorities(step, rotation, reporter)
            case Clear(secrets):
                for secret in secrets:
                    rotation.clear(secret)
                reporter.did(len(secrets))
            case NewLogins(logins):
                self._logins(logins, rotation, reporter)
            case NewCertificates(hosts):
                self._play("renewal", step.title, {"renewal_certificates": ":".join(hosts)}, reporter)

    def _roles(self, step: Play, reporter: Reporter) -> None:
        wanted = set(step.roles)
        hosts = {
            name: host.groups
            for name, host in self.site.hosts.items()
            if wanted & set(catalogue.load().of_groups(host.groups))
        }
        rolling = [n for n, groups in hosts.items() if step.rolling and "controllers" in groups]
        names = {"rotation_roles": ",".join(step.roles), "rotation_rolling": ":".join(rolling)}
        names["rotation_hosts"] = ":".join(name for name in hosts if name not in rolling)
        if step.migrates:
            names["rotation_migration"] = self._first_controller()
        self._play("rotation", step.title, names, reporter)

    def _prove(self, secrets: tuple[Secret, ...], reporter: Reporter) -> None:
        accounts = [secret.path for secret in secrets if secret.technique == "account"]
        if not accounts:
            reporter.tell("there is no login with it")
            return
        names = {"proof_hosts": self._first_controller(), "proof_secrets": ",".join(accounts)}
        self._play("rotation-proof", "proof", names, reporter)

    def _authorities(self, step: Certify | ProveAuthorities, rotation: Rotation, reporter: Reporter) -> None:
        signed: set[str] = {one.signs for one in step.authorities}
        work = self._certify if isinstance(step, Certify) else self._prove_authorities
        work(signed, rotation, reporter)

    def _certify(self, signed: set[str], rotation: Rotation, reporter: Reporter) -> None:
        """Nothing is dropped before the new authorities' certificates open sessions on all hosts."""
        if "users" in signed:
            vault.ssh_certificate(rotation.place)
        if "hosts" in signed:
            hosts = ":".join(host.name for host in rotation.place.hosts)
            self._play("renewal", "host keys", {"renewal_host_keys": hosts}, reporter)
        ssh_proof.opens(rotation, newest="hosts" in signed)
        reporter.did(len(signed))

    def _prove_authorities(self, signed: set[str], rotation: Rotation, reporter: Reporter) -> None:
        """What the new ones sign is accepted, what the old ones sign now is refused."""
        ssh_proof.opens(rotation, newest="hosts" in signed)
        if "users" in signed:
            reporter.tell("a session with a certificate of the old one, on each host")
            ssh_proof.users_refused(rotation)
        if "hosts" in signed:
            reporter.tell("a host with a certificate of the old one")
            ssh_proof.hosts_refused(rotation)

    def _logins(self, logins: tuple[Login, ...], rotation: Rotation, reporter: Reporter) -> None:
        """The former ones end when all machines have used the new ones."""
        former = {login: rotation.accessors(login) for login in logins}
        for component in dict.fromkeys(login.component for login in logins if login.host):
            hosts = [login.host for login in logins if login.host and login.component == component]
            names = {"renewal_component": component, "renewal_logins": ":".join(hosts)}
            self._play("renewal", f"logins of {component}", names, reporter)
        if any(login.host is None for login in logins):
            rotation.new_deployer_login()
        for login, accessors in former.items():
            rotation.destroy(login, accessors)
        reporter.did(len(logins))

    def _play(self, playbook: str, title: str, names: dict[str, str], reporter: Reporter) -> None:
        """Run a playbook; no secret is among the names, which are arguments."""
        folder = self.run.folder / title.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        words = " ".join(f"{name}={value}" for name, value in names.items() if value)
        playbooks = Playbooks(
            self.site,
            (playbook,),
            folder,
            self._environment,
            ("--extra-vars", words),
            (self._lock,),
            self._stopping,
        )
        follower = _OnePhase(reporter)
        with survey.removed_after(folder):
            playbooks.run(follower)
        reporter.did(follower.changed)

    def _first_controller(self) -> str:
        return next(name for name, host in self.site.hosts.items() if "controllers" in host.groups)


class _OnePhase:
    """Follows a playbook inside the phase that is open."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter, self.changed = reporter, 0

    def begin(self, playbook: str) -> None:
        """The phase has its name."""

    def tell(self, text: str) -> None:
        """A task begins."""
        self._reporter.tell(text)

    def end(self, outcome: Outcome) -> None:
        """Remember what it did."""
        self.changed += len(outcome.changes)
