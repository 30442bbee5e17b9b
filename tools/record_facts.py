"""Record what collectors read of a good cloud, as the ground of the controls' tests.

    .venv/bin/python tools/record_facts.py live COLLECTOR… [--site lab] [--cloud lab]

Writes ``tests/unit/audit_facts/<cloud>/<collector>.json``; look at what it wrote before it is committed.
"""

from __future__ import annotations

import argparse
import json

from socle.audit.collect import COLLECTORS, collect
from socle.audit.model import Facts
from socle.audit.probe import run
from socle.paths import project_root
from socle.site import load


def main() -> None:
    """Run the named collectors and write one file for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["static", "live"])
    parser.add_argument("collectors", nargs="+", choices=[*(one.name for one in COLLECTORS), "probes"])
    parser.add_argument("--site", default="lab")
    parser.add_argument("--cloud")
    given = parser.parse_args()
    site = load(project_root() / "inventories" / given.site)
    cloud = given.cloud or (given.site if given.kind == "live" else f"{given.site}-static")
    for name in given.collectors:
        if name == "probes":
            facts = run(site)
        else:
            facts = collect(site, given.kind, [one for one in COLLECTORS if one.name == name])
        write(facts, cloud, name.replace(" ", "_"))


def write(facts: Facts, cloud: str, name: str) -> None:
    """Keep facts as a file of a recorded cloud, and say which."""
    recorded = facts.model_dump(mode="json", include={"ended", "expected", "permissions", "facts"})
    path = project_root() / "tests/unit/audit_facts" / cloud / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(recorded, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
    print(path.relative_to(project_root()))  # noqa: T201


if __name__ == "__main__":
    main()
