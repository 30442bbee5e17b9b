"""A deployment: its phases, what each waits for, and what one role, node or tenant alone needs of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from socle import catalogue, tools, vault
from socle.cloud import await_pools, connect
from socle.deploy import certificate, journal, lock, survey
from socle.deploy.checks import check_here, check_names, check_nodes
from socle.deploy.copying import COPY, copy_openbao
from socle.deploy.phases import Phase, Reporter, execute
from socle.deploy.playbook import Playbooks
from socle.deploy.progress import Screen
from socle.errors import ExitCode, SocleError
from socle.paths import state_dir
from socle.site import Host, Site, register
from socle.site.entrance import NO_CERTIFICATE, write_settings
from socle.site.hosts import Group
from socle.vault import snapshots

if TYPE_CHECKING:
    from socle.deploy.servers import Server
    from socle.tenants import StackResult

BINARIES = ("bao", "pulumi", "pulumi-resource-openstack")
PLAYBOOKS: dict[str, tuple[Group, ...]] = {
    "base": (),
    "vault": ("vault",),
    "certificates": (),
    "hardening": (),
    "logs": (),
    "storage": ("storage",),
    "control": ("controllers",),
    "networks": ("controllers",),
    "volumes": ("controllers",),
    "compute": ("computes", "gateways"),
}
"""The playbooks in order, with the groups that each is for; all hosts when none is named."""

BEFORE_KEYS = ("base", "openbao")
"""Roles that need nothing of OpenBao."""


@dataclass
class Deployment:
    """One run of ``socle deploy``.

    Args:
        only: a role, a node or a tenant's SIREN; everything when None.
        sirens: these tenants and nothing else; all of them when empty.
    """

    site: Site
    screen: Screen
    only: str | None = None
    sirens: tuple[str, ...] | None = None
    run: journal.Run = field(init=False)
    stacks: list[StackResult] = field(default_factory=list)
    """What was applied: the platform and the tenants."""
    servers: list[Server] = field(default_factory=list)
    """The servers of the tenants that were applied."""
    _environment: dict[str, str] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: int = -1

    def go(self) -> journal.Run:
        """Deploy, and return the record of the run.

        Raises:
            SocleError: as the phase that failed says; exit code 5 when another run holds the lock.
        """
        phases = self._phases()
        state = state_dir(self.site.name)
        command = self._command()
        check_here(self.site)
        with lock.hold(state / "lock") as self._lock:
            last = journal.last_seconds(state, command)
            self.run = journal.begin(state, command)
            with self.run.recorded(), survey.removed_after(self.run.folder), self.screen.live():
                execute(phases, lambda: Reporter(self.run, self.screen, last), self._stopping.set)
        return self.run

    def _command(self) -> str:
        if self.sirens is not None:
            return " ".join(["tenant apply", *self.sirens])
        return f"deploy --only {self.only}" if self.only else "deploy"

    def _phases(self) -> list[Phase]:
        only = self.only
        if self.sirens is not None:
            return self._some_tenants(self.sirens)
        if only is None:
            return self._all()
        if only in self.site.tenants:
            return self._some_tenants((only,))
        if only in self.site.hosts:
            return self._node(self.site.hosts[only])
        if only in catalogue.load().components:
            return self._role(only)
        raise SocleError(
            f"no role, node or tenant {only}",
            where="--only",
            expected="a component of the catalogue, a host of hosts.yml or a SIREN of tenants/",
            exit_code=ExitCode.USAGE,
        )

    def _all(self) -> list[Phase]:
        return [
            self._check(tuple(self.site.hosts.values())),
            Phase("tools", self._build_tools),
            self._play("base", "vault", after=("check", "tools")),
            self._keys(after=("base",)),
            self._play("certificates", after=("keys",)),
            self._play("hardening", "logs", after=("certificates",)),
            self._play("storage", after=("keys",)),
            self._play("control", after=("certificates",)),
            self._play("networks", after=("control",)),
            self._play("volumes", after=("storage", "control")),
            self._play("compute", after=("storage", "networks")),
            Phase("platform", self._apply_platform, after=("networks", "volumes")),
            self._tenants((), after=("compute", "platform")),
            self._pages(()),
            self._copy("pages"),
        ]

    def _some_tenants(self, sirens: tuple[str, ...]) -> list[Phase]:
        unknown = [siren for siren in sirens if siren not in self.site.tenants]
        if unknown:
            raise SocleError(
                f"no tenant {', '.join(unknown)}",
                where=str(self.site.folder / "tenants"),
                expected="a SIREN that `socle tenant list` shows",
                exit_code=ExitCode.USAGE,
            )
        done = [self._check(()), self._keys(), self._tenants(sirens), self._pages(sirens)]
        return [*done, self._copy("pages")]

    def _node(self, host: Host) -> list[Phase]:
        wanted = [name for name, groups in PLAYBOOKS.items() if not groups or set(groups) & set(host.groups)]
        first = [name for name in wanted if name in {"base", "vault"}]
        limit = ("--limit", host.name)
        rest = self._play(*[name for name in wanted if name not in first], after=("keys",), arguments=limit)
        return [
            self._check((host,)),
            self._play(*first, after=("check",), arguments=limit),
            self._keys(after=("base",)),
            rest,
            self._copy(rest.name),
        ]

    def _role(self, role: str) -> list[Phase]:
        groups = set(catalogue.load()[role].runs_on)
        hosts = [h for h in self.site.hosts.values() if "all" in groups or groups & set(h.groups)]
        names = ("--extra-vars", f"only_role={role} only_hosts={':'.join(h.name for h in hosts)}")
        play, keys, last = ("check",), ("role",), "keys"
        if role not in BEFORE_KEYS:
            play, keys, last = ("keys",), ("check",), "role"
        work = [self._keys(after=keys), self._play("role", after=play, arguments=names)]
        return [self._check(hosts), *work, self._copy(last)]

    def _check(self, hosts: Sequence[Host]) -> Phase:
        def check(reporter: Reporter) -> None:
            self._come_in(reporter)
            reporter.tell("nodes answer and have room")
            check_names(self.site)
            check_nodes(self.site, hosts)

        return Phase("check", check)

    def _play(self, *names: str, after: tuple[str, ...], arguments: tuple[str, ...] = ()) -> Phase:
        def play(reporter: Reporter) -> None:
            Playbooks(
                self.site, names, self.run.folder, self._environment, arguments, (self._lock,), self._stopping
            ).run(reporter)

        return Phase(names[0], play, after)

    def _keys(self, after: tuple[str, ...] = ("check",)) -> Phase:
        return Phase("keys", self._prepare_keys, after)

    def _tenants(self, sirens: tuple[str, ...], after: tuple[str, ...] = ("keys",)) -> Phase:
        return Phase("tenants", partial(self._apply_tenants, sirens), after)

    def _pages(self, sirens: tuple[str, ...]) -> Phase:
        return Phase("pages", partial(self._fetch_pages, sirens), ("tenants",))

    def _copy(self, after: str) -> Phase:
        return Phase(COPY, partial(copy_openbao, self.site), (after,))

    def _build_tools(self, reporter: Reporter) -> None:
        own = self.site.settings.binaries.model_dump()
        built: set[str] = set()

        def tell(progress: tools.Progress) -> None:
            built.update([progress.name] if progress.done else [])
            reporter.tell(str(progress))

        for name in BINARIES:
            binary = own[name.replace("-", "_")]
            override = tools.BinaryOverride(Path(binary["path"]), binary["sha256"]) if binary else None
            tools.resolve(name, override, tell)
        reporter.did(len(built))

    def _come_in(self, reporter: Reporter) -> None:
        """A certificate for the deploying account, once there is an authority.

        Where OpenBao does not answer, what is at hand is used: the deployment may be what starts OpenBao.
        """
        try:
            certificate.come_in(self.site)
        except SocleError as error:
            if error.exit_code not in {ExitCode.UNREACHABLE, ExitCode.PREREQUISITE}:
                raise
            reporter.tell(f"{NO_CERTIFICATE}{error}")

    def _prepare_keys(self, reporter: Reporter) -> None:
        place = vault.place_of(self.site, catalogue.load())
        changed = vault.prepare(place, reporter.tell)
        if changed:
            snapshots.owe(place)
        vault.ssh_certificate(place)
        write_settings(self.site)
        self._environment.update(vault.ansible_environment(place))
        reporter.did(int(changed))

    def _apply_platform(self, reporter: Reporter) -> None:
        from socle import tenants  # noqa: PLC0415 - Pulumi takes seconds to load

        result = tenants.platform_apply(self.site, tenants.session_of(self.site), reporter.tell)
        self.stacks.append(result)
        reporter.did(result.changed)
        reporter.tell("volumes have a place")
        await_pools(connect(self.site, catalogue.load()))

    def _apply_tenants(self, sirens: tuple[str, ...], reporter: Reporter) -> None:
        from socle import tenants  # noqa: PLC0415 - Pulumi takes seconds to load

        register(self.site)
        results = tenants.apply(self.site, sirens or None, tenants.session_of(self.site), reporter.tell)
        self.stacks.extend(results)
        changed = sum(result.changed for result in results)
        if changed:
            snapshots.owe(vault.place_of(self.site, catalogue.load()))
        reporter.did(changed)

    def _fetch_pages(self, sirens: tuple[str, ...], reporter: Reporter) -> None:
        from socle.deploy.servers import fetch_pages, servers_of  # noqa: PLC0415 - Pulumi takes seconds

        cloud = connect(self.site, catalogue.load())
        self.servers = servers_of(self.site, cloud, sirens or tuple(self.site.tenants))
        fetch_pages(self.servers, reporter.tell)
