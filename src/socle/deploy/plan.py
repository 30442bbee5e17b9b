"""What a deployment would change: Ansible's check mode on the nodes, Pulumi's preview of the stacks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from socle import catalogue, vault
from socle.deploy import journal, lock, survey
from socle.deploy.checks import check_here
from socle.deploy.deployment import PLAYBOOKS
from socle.deploy.events import Change, Failure
from socle.deploy.nodes import ask_all
from socle.deploy.phases import Phase, Reporter, execute
from socle.deploy.playbook import PlaybookError, Playbooks
from socle.deploy.progress import Screen
from socle.errors import SocleError
from socle.paths import state_dir
from socle.site import Host, Site
from socle.vault.place import DEPLOYER

PLATFORM = "platform"
FIRST = (
    "this machine has never deployed the site: no secret is known, so files that hold one show as changed; "
    "of the stacks only what the files ask for is known"
)


@dataclass(frozen=True)
class NodePlan:
    """What would change on one node.

    Args:
        failures: tasks that cannot tell, and why; what comes after them on the node is not known.
        reason: why the node was not evaluated at all.
    """

    name: str
    role: str
    """What runs there, in the words of the catalogue."""
    changes: tuple[Change, ...] = ()
    failures: tuple[Failure, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class StackPlan:
    """What would change in the platform or in a tenant.

    Args:
        counts: resources by what would happen to them; empty when they were not evaluated.
        reason: why not.
    """

    name: str
    title: str
    counts: dict[str, int] = field(default_factory=dict)
    reason: str = ""


@dataclass
class Plan:
    """One run of ``socle plan``."""

    site: Site
    screen: Screen
    nodes: list[NodePlan] = field(default_factory=list)
    stacks: list[StackPlan] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What the plan could not take into account."""
    _run: journal.Run = field(init=False)
    _environment: dict[str, str] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def deployed(self) -> bool:
        """Whether the site was ever deployed from this machine: then it has a login to OpenBao."""
        return (vault.place_of(self.site, catalogue.load()).folder / DEPLOYER).is_file()

    @property
    def away(self) -> list[NodePlan]:
        """Nodes that do not answer."""
        return [node for node in self.nodes if node.reason]

    def go(self) -> None:
        """Find out, and change nothing.

        Raises:
            SocleError: exit code 5 when another run holds the lock.
        """
        state = state_dir(self.site.name)
        check_here(self.site)
        with lock.hold(state / "lock") as held:
            last = journal.last_seconds(state, "plan")
            self._run = journal.begin(state, "plan")
            phases = [
                Phase("keys", self._keys),
                Phase("nodes", lambda reporter: self._nodes(reporter, held), after=("keys",)),
                Phase("tenants", self._stacks, after=("keys",)),
            ]
            with self._run.recorded(), survey.removed_after(self._run.folder), self.screen.live():
                execute(phases, lambda: Reporter(self._run, self.screen, last), self._stopping.set)

    def _keys(self, reporter: Reporter) -> None:
        reporter.tell("OpenBao")
        if self.deployed:
            place = vault.place_of(self.site, catalogue.load())
            self._environment.update(vault.ansible_environment(place))
        else:
            self._environment["SOCLE_PLAN_WITHOUT_VAULT"] = "1"
            self.notes.append(FIRST)

    def _nodes(self, reporter: Reporter, held: int) -> None:
        reporter.tell("who answers")
        hosts = list(self.site.hosts.values())
        answers = ask_all(self.site, hosts)
        reasons = {name: str(a) for name, a in answers.items() if isinstance(a, SocleError)}
        there = [host.name for host in hosts if host.name not in reasons]
        changes, failures = self._check_mode(reporter, there, held) if there else ([], [])
        self.nodes = [
            NodePlan(
                host.name,
                _role(host),
                tuple(c for c in changes if c.host == host.name),
                tuple(f for f in failures if f.host == host.name),
                reasons.get(host.name, ""),
            )
            for host in hosts
        ]

    def _check_mode(
        self, reporter: Reporter, hosts: list[str], held: int
    ) -> tuple[list[Change], list[Failure]]:
        """All playbooks; when one fails, the rest is looked at all the same."""
        changes: list[Change] = []
        failures: list[Failure] = []
        arguments = ("--check", "--diff", "--limit", ",".join(hosts))
        left = list(PLAYBOOKS)
        while left:
            playbooks = Playbooks(
                self.site,
                tuple(left),
                self._run.folder,
                self._environment,
                arguments,
                (held,),
                self._stopping,
            )
            try:
                outcomes, left = playbooks.run(reporter), []
            except PlaybookError as error:
                if not any(outcome.failures for outcome in error.outcomes.values()):
                    raise
                outcomes = error.outcomes
                left = left[len(outcomes) :]
            changes += [change for outcome in outcomes.values() for change in outcome.changes]
            failures += [failure for outcome in outcomes.values() for failure in outcome.failures]
        return changes, failures

    def _stacks(self, reporter: Reporter) -> None:
        titles = {siren: tenant.organisation.name for siren, tenant in self.site.tenants.items()}
        if self.deployed:
            self.stacks = self._previews(reporter, titles)
        else:
            platform = f"new: {len(self.site.flavors)} flavors, {len(self.site.images)} images"
            self.stacks = [
                StackPlan(PLATFORM, "Platform", reason=platform),
                *(StackPlan(siren, title, reason=self._new(siren)) for siren, title in titles.items()),
            ]

    def _new(self, siren: str) -> str:
        tenant = self.site.tenants[siren]
        environments, networks = len(tenant.lifecycle.environments), len(self.site.tenant_networks(siren))
        return f"new: {environments} projects, {networks} networks, {len(tenant.servers)} servers"

    def _previews(self, reporter: Reporter, titles: dict[str, str]) -> list[StackPlan]:
        reporter.tell("platform")
        from socle import tenants  # noqa: PLC0415 - Pulumi takes seconds to load
        from stacks.tenant.plan import domain_name, unserved  # noqa: PLC0415

        session = tenants.session_of(self.site)
        platform = tenants.platform_preview(self.site, session, reporter.tell)
        found = {r.stack: r.counts for r in tenants.preview(self.site, None, session, reporter.tell)}
        return [
            StackPlan(PLATFORM, "Platform", platform.counts),
            *(
                StackPlan(siren, title, found.get(domain_name(siren), {}), unserved(self.site, siren) or "")
                for siren, title in titles.items()
            ),
        ]


def _role(host: Host) -> str:
    """The titles of the components that not every host has."""
    found = catalogue.load().of_groups(host.groups).values()
    return ", ".join(component.title for component in found if "all" not in component.runs_on)
