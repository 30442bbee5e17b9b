"""What an audit costs: before a deployment, on the lab, judged again, as a report, and for 50 hosts.

``python benchmarks/audit.py [--runs 3]``. The lab need not be there: what it alone can show is left out then.
The 50 hosts are two sites of 25; the answers of their hosts and the facts are those recorded on the lab.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from measure import lab_site, report
from memory import pss_kib
from validate import write_site

from socle.paths import project_root, state_dir

RECORDED = project_root() / "tests/unit/audit_facts/lab"
JUDGED = {0, 10, 11, 12}
LIMITS = {"static": 10.0, "live": 15.0, "judge again": 2.0, "HTML": 10.0, "PDF": 60.0, "50 hosts": 120.0}
"""Seconds."""
CLUSTERS, HOSTS, TENANTS = 2, 25, 3
MEMORY_MIB = 300
LIKE = {"controllers": "ctl1", "vault": "sec1", "storage": "sto1", "computes": "cmp1", "gateways": "ctl1"}
"""The lab's host whose answer stands for that of a host of a group; the first that fits."""
SSH = """#!/bin/sh
for word; do address=$last last=$word; done
case $last in *socle-audit) ;; *) exit 255 ;; esac
cat > /dev/null
echo >> "$SESSIONS/$address"
exec cat "$ANSWERS/$address"
"""
"""In the place of ssh: counts the sessions on an address and answers what was recorded for it."""


def timed(command: list[str], runs: int, allowed: set[int] = JUDGED) -> float:
    """Median seconds of a program."""
    seconds = []
    for _run in range(runs):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project_root())
        seconds.append(time.perf_counter() - start)
        if done.returncode not in allowed:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return statistics.median(seconds)


def socle(*words: str) -> list[str]:
    """The command on the lab's site."""
    return [str(Path(sys.executable).with_name("socle")), "--site", "lab", "audit", *words]


def recorded(host_names: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """The facts recorded on the lab; those of a host once for each of the names that stand for it."""
    facts: list[dict[str, Any]] = []
    expected: dict[str, list[str]] = {}
    ended = ""
    for path in sorted(RECORDED.glob("*.json")):
        held = json.loads(path.read_text("utf-8"))
        facts += [copy for fact in held["facts"] for copy in copies(fact, host_names)]
        expected |= {
            name: [new for subject in subjects for new in renamed(subject, host_names)]
            for name, subjects in held["expected"].items()
        }
        ended = max(ended, held["ended"])
    head = {"site": "lab", "kind": "live", "started": ended, "ended": ended, "tool": "recorded"}
    return {**head, "expected": expected, "facts": facts}


def copies(fact: dict[str, Any], names: dict[str, list[str]] | None) -> Iterator[dict[str, Any]]:
    """A fact with each subject that stands for its own."""
    for subject in renamed(str(fact["subject"]), names):
        yield {**fact, "subject": subject}


def renamed(subject: str, names: dict[str, list[str]] | None) -> list[str]:
    """``ctl1 nova.api`` for each host that stands for ``ctl1``; other subjects stay."""
    host, blank, rest = subject.partition(" ")
    return [f"{name}{blank}{rest}" for name in (names or {}).get(host, [host])]


def judge_again() -> None:
    """Read facts from standard input and judge them, as a program of its own."""
    from socle.audit.evaluating import evaluate  # noqa: PLC0415 - loaded by this program alone
    from socle.audit.model import Facts  # noqa: PLC0415

    evaluate(Facts.model_validate_json(Path(sys.argv[2]).read_text("utf-8")))


def forms(runs: int) -> Iterator[tuple[str, float]]:
    """Seconds of each form of a report."""
    from socle.audit import controls, requirements  # noqa: PLC0415 - as above
    from socle.audit.evaluating import evaluate  # noqa: PLC0415
    from socle.audit.model import Facts  # noqa: PLC0415
    from socle.audit.report import content, write  # noqa: PLC0415

    facts = Facts.model_validate(recorded())
    judges = (controls.load(), requirements.load(), requirements.chapters())
    shown = content(evaluate(facts), facts, *judges, title="Lab", organisation="GIP")
    with tempfile.TemporaryDirectory() as folder:
        for form in ("html", "pdf"):
            seconds = []
            for _run in range(runs):
                start = time.perf_counter()
                write(Path(folder), shown, [form])
                seconds.append(time.perf_counter() - start)
            yield form.upper(), statistics.median(seconds)


def ask_lab(folder: Path) -> bool:
    """Keep what the lab's hosts answer now; false when there is no lab."""
    from socle.audit import program  # noqa: PLC0415 - as above
    from socle.audit.collect import running  # noqa: PLC0415

    site = lab_site()
    if not (state_dir(site.name) / "ssh_config").is_file():
        return False
    answers = running.session.read_hosts(site)
    for name, answer in answers.items():
        said = {"program": program.digest(), "sections": dict(answer.sections)}
        (folder / name).write_text(json.dumps(said), "utf-8")
    return not any(answer.problem for answer in answers.values())


def replay(folder: Path) -> None:
    """Collect and judge both sites, as a program of its own: seconds and sessions as JSON."""
    from socle import vault  # noqa: PLC0415 - as above
    from socle.audit.collect import collect, hosts, services, tenant_events  # noqa: PLC0415
    from socle.audit.evaluating import evaluate  # noqa: PLC0415
    from socle.audit.model import Facts  # noqa: PLC0415
    from socle.logs import asking  # noqa: PLC0415
    from socle.site import load  # noqa: PLC0415

    start, read, judged = time.perf_counter(), 0, 0
    for place in sorted(folder.glob("cluster-*")):
        site = load(place)
        names: dict[str, list[str]] = {}
        for host in site.hosts.values():
            like = next(LIKE[group] for group in LIKE if group in host.groups)
            names.setdefault(like, []).append(host.name)
            (folder / "answers" / str(host.address)).symlink_to(folder / "lab" / like)
        collectors = (*hosts.COLLECTORS, *services.COLLECTORS, *tenant_events.COLLECTORS)
        # A site that was never deployed has no OpenBao that signs a certificate, and no Keystone.
        with (
            patch.object(vault, "audit_key", lambda _place, own: own / "key"),
            patch.object(tenant_events, "auditor", lambda _site: None),
            patch.object(asking, "tenant_ids", lambda _cloud, siren: {siren}),
        ):
            facts = collect(site, "live", collectors)
        read += sum(fact.problem is None for fact in facts.facts)
        judged += len(evaluate(Facts.model_validate(recorded(names))).judgements)
    seconds = time.perf_counter() - start
    sessions = [len(path.read_text("utf-8").splitlines()) for path in (folder / "sessions").iterdir()]
    told = {
        "seconds": seconds,
        "read": read,
        "judged": judged,
        "hosts": len(sessions),
        "sessions": max(sessions),
    }
    print(json.dumps(told))


def fifty() -> dict[str, Any] | None:
    """The replay; None without a lab."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        for name in ("lab", "answers", "sessions", "bin", "state"):
            (folder / name).mkdir()
        if not ask_lab(folder / "lab"):
            return None
        (folder / "bin/ssh").write_text(SSH)
        (folder / "bin/ssh").chmod(0o755)
        for number in range(CLUSTERS):
            write_site(folder / f"cluster-{number}", TENANTS, HOSTS)
            move(folder / f"cluster-{number}/hosts.yml", number)
        places = {"SESSIONS": str(folder / "sessions"), "ANSWERS": str(folder / "answers")}
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, **places, "PATH": path, "SOCLE_STATE": str(folder / "state")}
        command = [sys.executable, __file__, "replay", str(folder)]
        said, mib = watched(command, environment)
        return {**json.loads(said), "mib": mib}


def watched(command: list[str], environment: dict[str, str]) -> tuple[str, float]:
    """What a program prints, and the peak of the memory of all its processes: PSS in MiB, every 0.2 s."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment, stdout=said)
        peak = 0
        while process.poll() is None:
            found = (pss_kib(pid) for pid in family(process.pid))
            peak = max(peak, sum(one[1] for one in found if one))
            time.sleep(0.2)
        if process.returncode != 0:
            raise SystemExit(process.returncode)
        said.seek(0)
        return said.read(), peak / 1024


def family(pid: int) -> Iterator[int]:
    """A process and all that it started and that still run."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
            for child in children.read_text("ascii").split():
                yield from family(int(child))


def move(hosts: Path, number: int) -> None:
    """Other addresses for the second site, in the same zones."""
    text = hosts.read_text("utf-8")
    hosts.write_text(text.replace(".0.", f".{number}."), "utf-8")


def row(what: str, seconds: float, limit: str = "") -> dict[str, Any]:
    """A line of the table."""
    return {
        "what": what,
        "seconds": seconds,
        "limit": limit or LIMITS[what],
        "used": f"{seconds / LIMITS[what]:.0%}",
    }


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    notes = []
    rows = [row("static", timed(socle("static"), runs))]
    if (state_dir("lab") / "ssh_config").is_file():
        rows.append(row("live", timed(socle("live", "--no-bundle"), runs)))
    else:
        notes.append("no lab: neither the live audit nor the replay was measured")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as facts:
        facts.write(json.dumps(recorded()))
        facts.flush()
        rows.append(row("judge again", timed([sys.executable, __file__, "judge", facts.name], runs, {0})))
    rows += [row(form, seconds) for form, seconds in forms(runs)]
    if told := fifty():
        rows.append(row("50 hosts", told["seconds"]))
        asked = f"{told['hosts']} hosts asked, at most {told['sessions']} session on each"
        notes.append(f"50 hosts: {asked}, {told['read']} facts read, {told['judged']} judgements")
        notes.append(f"50 hosts: {told['mib']:.0f} MiB with all processes; limit {MEMORY_MIB} MiB")
    report("audit", "The audit, median seconds", rows, notes)


if __name__ == "__main__":
    programs: dict[str, Callable[[], None]] = {
        "judge": judge_again,
        "replay": lambda: replay(Path(sys.argv[2])),
    }
    programs.get(sys.argv[1] if len(sys.argv) > 1 else "", main)()
