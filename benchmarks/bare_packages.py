"""How long the lab's packages take to install alone: ``python benchmarks/bare_packages.py [--runs 1]``. Root.

Installs the packages of each kind of node on the cached base into a root that is thrown away, with the
archives already downloaded, by the script that makes the layers. The latest deployment of bare nodes in the
journal is set beside.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from measure import lab_site, report

from socle import catalogue
from socle.deploy import journal
from socle.lab.build import log_file, only_one_builder, run_in_root, workspace
from socle.lab.from_site import plan_from_site
from socle.lab.layers import BUILDS_AT_ONCE, base_layer
from socle.lab.plan import LabPlan, kinds
from socle.paths import state_dir
from socle.site import Site

LIMIT = 1.3


def main() -> None:
    """Install, throw away, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    runs = parser.parse_args().runs
    site = lab_site()
    plan = plan_from_site(site, catalogue.load())
    if not base_layer(plan).root.is_dir():
        raise SystemExit("the base layer is not there; run `socle --site lab lab up` first")
    seconds = [all_kinds(plan) for _ in range(runs)]
    rows = [
        {"nodes": name, "packages asked for": count, "seconds": median(run[name] for run in seconds)}
        for name, count in asked(plan).items()
    ]
    whole = median(run["all"] for run in seconds)
    rows.append({"nodes": f"all, {BUILDS_AT_ONCE} at once", "packages asked for": "", "seconds": whole})
    report("bare_packages", f"Packages alone: medians of {runs} runs", rows, [beside(site, whole)])


def asked(plan: LabPlan) -> dict[str, int]:
    """Kinds of nodes, with how many packages the catalogue asks for."""
    return {", ".join(n.name for n in nodes): len(packages) for packages, nodes in kinds(plan.nodes).items()}


def all_kinds(plan: LabPlan) -> dict[str, float]:
    """Seconds by kind, and of all together."""
    found = {}

    def install(names: str, packages: tuple[str, ...]) -> None:
        start = time.perf_counter()
        with workspace() as work:
            run_in_root(
                "install-packages.sh",
                work,
                lowers=base_layer(plan).roots,
                packages=packages,
                log=log_file("benchmark"),
                doing=f"packages of {names}",
            )
            found[names] = time.perf_counter() - start

    start = time.perf_counter()
    with only_one_builder(), ThreadPoolExecutor(BUILDS_AT_ONCE) as pool:
        for done in [
            pool.submit(install, ", ".join(n.name for n in k), p) for p, k in kinds(plan.nodes).items()
        ]:
            done.result()
    found["all"] = time.perf_counter() - start
    return found


def beside(site: Site, whole: float) -> str:
    """The latest deployment that found bare nodes, against the packages alone."""
    first = [
        run
        for run in journal.runs(state_dir(site.name))
        if run["result"] == "done" and run["command"] == "deploy" and first_of_nodes(run)
    ]
    if not first:
        return "no complete deployment of bare nodes is in the journal: no ratio"
    seconds = first[-1]["seconds"]
    ratio = seconds / whole
    return f"deployment of bare nodes {seconds:.0f} s: {ratio:.2f} times the packages alone; limit {LIMIT}"


def first_of_nodes(run: dict[str, list[dict[str, int]]]) -> bool:
    """Every phase of the nodes changed something."""
    phases = {p["name"]: p["changed"] for p in run["phases"]}
    return all(phases.get(name) for name in ("base", "control", "networks", "volumes", "compute"))  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
