"""A deployment: its phases in order, some beside each other, each recorded in the journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from socle import catalogue as services
from socle import tenants, tools, vault
from socle.deploy import journal, lock
from socle.deploy.playbook import Playbook
from socle.deploy.progress import Screen
from socle.errors import ExitCode, SocleError
from socle.paths import state_dir
from socle.site import Site

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Done:
    """What a phase did: things changed, modules executed."""

    changed: int = 0
    executions: int = 0


@dataclass
class Deployment:
    """One run of ``socle deploy``.

    Args:
        only: a role, a node or a tenant's SIREN; everything when None.
    """

    site: Site
    screen: Screen
    only: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    run: journal.Run = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def go(self) -> journal.Run:
        """Deploy, and return the record of the run.

        Raises:
            SocleError: as the phase that failed says; 5 when another run holds the lock.
        """
        state = state_dir(self.site.name)
        self._check_only()
        with lock.hold(state / "lock"):
            self.run = journal.begin(state, f"deploy{f' --only {self.only}' if self.only else ''}")
            started = time.monotonic()
            try:
                with self.screen.live():
                    self._phases()
                self.run.result = "done"
            except BaseException:
                self.run.result = "failed"
                raise
            finally:
                self.run.seconds = round(time.monotonic() - started, 1)
                self.run.write()
        return self.run

    def _phases(self) -> None:
        if self.only in self.site.tenants:
            self._phase("keys", self._keys)
            self._phase("tenants", self._tenants)
            return
        self._phase("tools", self._tools)
        self._play("base")
        self._play("vault")
        self._phase("keys", self._keys)
        self._play("certificates")
        self._beside("storage", "control")
        self._play("compute")
        if self.only is None:
            self._phase("platform", self._platform)
            self._phase("tenants", self._tenants)

    def _beside(self, *names: str) -> None:
        with ThreadPoolExecutor(len(names)) as pool:
            for future in [pool.submit(self._play, name) for name in names]:
                future.result()

    def _play(self, name: str) -> None:
        def play(tell: Tell) -> Done:
            outcome = Playbook(self.site, name, self.run.folder, dict(self.environment), self._limits()).run(tell)
            return Done(len(outcome.changes), outcome.executions)

        self._phase(name, play)

    def _phase(self, name: str, work: Callable[[Tell], Done]) -> None:
        record = journal.PhaseRecord(name)
        line = self.screen.begin(name, journal.last_seconds(state_dir(self.site.name), name))
        with self._lock:
            self.run.phases.append(record)
            self.run.write()

        def tell(text: str) -> None:
            line.task = text

        started = time.monotonic()
        try:
            done = work(tell)
            record.changed, record.executions, record.result = done.changed, done.executions, "done"
        except BaseException:
            record.result = "failed"
            raise
        finally:
            record.seconds = round(time.monotonic() - started, 1)
            self.screen.end(line, record.changed, record.result != "done")
            with self._lock:
                self.run.write()

    def _tools(self, tell: Tell) -> Done:
        tools.build(["bao", "pulumi", "pulumi-resource-openstack"], lambda progress: tell(str(progress)))
        return Done()

    def _keys(self, tell: Tell) -> Done:
        place = vault.place_of(self.site, services.load())
        changed = vault.prepare(place, tell)
        self.environment.update(vault.ansible_environment(place))
        return Done(int(changed))

    def _platform(self, tell: Tell) -> Done:
        return _counted([tenants.platform_apply(self.site, tenants.session_of(self.site), tell)])

    def _tenants(self, tell: Tell) -> Done:
        chosen = [self.only] if self.only in self.site.tenants else None
        return _counted(tenants.apply(self.site, chosen, tenants.session_of(self.site), tell))

    def _limits(self) -> tuple[str, ...]:
        if self.only is None:
            return ()
        if self.only in self.site.hosts:
            return ("--limit", self.only)
        return ("--tags", self.only)

    def _check_only(self) -> None:
        known: Mapping[str, object] = services.load().components
        if self.only is None or self.only in known or self.only in self.site.hosts or self.only in self.site.tenants:
            return
        raise SocleError(
            f"no role, node or tenant {self.only}",
            where="--only",
            expected="a component of the catalogue, a host of hosts.yml or a SIREN of tenants/",
            exit_code=ExitCode.USAGE,
        )


def _counted(results: list[tenants.StackResult]) -> Done:
    return Done(sum(result.changed for result in results))
