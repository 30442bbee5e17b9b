"""One run of mutations on the lab of a site, from what a killed run left to the last repair."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from socle.audit import controls as control_files
from socle.audit.collect import collect
from socle.audit.collect.running import collect_again
from socle.audit.collect.session import ask_again
from socle.audit.model import Control, Facts
from socle.audit.mutating.broken import Bench
from socle.audit.mutating.interrupts import Interrupts
from socle.audit.mutating.outcomes import Mutations, Outcome, Result
from socle.audit.mutating.rounds import Read, Rounds, Tell
from socle.audit.mutating.trials import ASKING, Trial, collectors_of, left_out, planned
from socle.deploy import lock
from socle.errors import ExitCode, SocleError
from socle.lab.lab import Lab
from socle.paths import state_dir
from socle.site import Site

JOURNAL: Final = "mutations/broken.json"
"""In the state of a site: what is broken on its lab."""

type Say = Callable[[str], None]
type Record = Callable[[Mutations], None]


def sample(controls: Sequence[Control], count: int, seed: int) -> list[Control]:
    """Some of the controls that say how they are broken on the lab.

    The same seed picks the same, and a control that is new takes the place of one other at most.
    """
    live = [control for control in controls if control.mutate.live]
    picked = sorted(live, key=lambda one: hashlib.sha256(f"{seed} {one.id}".encode()).digest())[:count]
    return [control for control in live if control in picked]


def mutate(
    site: Site,
    chosen: Sequence[Control],
    say: Say,
    tell: Tell,
    *,
    seed: int | None = None,
    record: Record = lambda _so_far: None,
    until: float | None = None,
) -> Mutations:
    """Break and repair the settings of some controls; what an earlier run left broken is repaired first.

    Args:
        record: hears, again and again, what the run is so far, as one that was interrupted there.
        until: nothing is broken after it, a time of ``time.monotonic``.

    Raises:
        SocleError: exit code 2, the site is no lab; 5, a deployment is at work; 6, the lab does not run; 1,
            what was left broken cannot be repaired.
    """
    started = datetime.now(UTC)
    entered = _nodes(site)
    with lock.hold(state_dir(site.name) / "lock") as held, Interrupts() as interrupts:
        bench = Bench(state_dir(site.name) / JOURNAL, entered, lock=held)
        repaired = _left(bench, interrupts, say)
        trials = planned(site, chosen)
        not_live = [_not_live(control) for control in chosen if control.mutate.live is None]
        changed: list[str] = []

        def so_far(outcomes: Sequence[Outcome], *, interrupted: bool = True) -> Mutations:
            known = (*not_live, *outcomes)
            tried = {one.control for one in known}
            return Mutations(
                site=site.name,
                started=started,
                ended=datetime.now(UTC),
                outcomes=known,
                repaired=repaired,
                changed=tuple(changed),
                broken=tuple(f"{one.control} : {one.node}" for one in bench.broken()),
                left=tuple(control.id for control in chosen if control.id not in tried),
                seed=seed,
                interrupted=interrupted,
            )

        if not trials:
            return so_far([], interrupted=False)
        say("reading the lab as it is")
        facts = collect(site, "live", collectors_of([trial.control for trial in trials]))
        rounds = Rounds(
            control_files.load(),
            facts,
            bench=bench,
            read=_reading(site, facts),
            interrupts=interrupts,
            tell=tell,
            settled=lambda outcomes: record(so_far(outcomes)),
            until=until,
        )
        changed = rounds.changed
        interrupted = False
        try:
            rounds.run(trials)
        except KeyboardInterrupt:
            interrupted = True
        except SocleError as error:
            say(error.line())
        finally:
            with interrupts.held(silent=True):
                bench.repair_all()
        return so_far(list(rounds.outcomes.values()), interrupted=interrupted)


def _nodes(site: Site) -> Callable[[str], list[str]]:
    """How a node of the lab is entered; there is no way to a machine that is not a container of the lab."""
    lab = Lab.of(site)
    down = [status.name for status in lab.status() if status.state != "running"]
    if down:
        raise SocleError(
            f"{', '.join(down)} is not running; only nodes of a lab are broken",
            where=f"lab of {site.name}",
            write="run `socle lab up`",
            exit_code=ExitCode.UNREACHABLE,
        )
    return lambda node: lab.container(node).entered()


def _left(bench: Bench, interrupts: Interrupts, say: Say) -> tuple[str, ...]:
    left = tuple(f"{one.control} : {one.node}" for one in bench.broken())
    if left:
        say(f"repairing first what an earlier run left broken: {', '.join(left)}")
        with interrupts.held():
            wrong = bench.repair_all()
        if wrong:
            raise SocleError(" ; ".join(wrong), where=str(bench.journal), write="repair the node by hand")
    return left


def _reading(site: Site, facts: Facts) -> Read:
    latest, controls = facts, control_files.load()

    def read(trials: Sequence[Trial]) -> Facts:
        nonlocal latest
        names = frozenset().union(*(trial.sources for trial in trials))
        nodes = sorted({trial.node for trial in trials if trial.sources & ASKING})
        if nodes:
            ask_again(site, nodes, left_out(trials, controls))
        again = [one for one in collectors_of([trial.control for trial in trials]) if one.name in names]
        latest = collect_again(site, latest, again)
        return latest

    return read


def _not_live(control: Control) -> Outcome:
    return Outcome(control.id, Result.NOT_LIVE, detail=control.mutate.not_live or "")
