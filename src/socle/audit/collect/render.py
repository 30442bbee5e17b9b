"""Render what the roles lay on a site's hosts, as a program: ``python -m socle.audit.collect.render SITE``.

A process of its own: Ansible keeps its settings for the whole process, and the other collectors go on
meanwhile. No node and no OpenBao is asked; each secret reads alike and is left out. Prints one JSON object:
host → component → path → the file as ``agent_services.found_file`` describes one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from socle.audit.collect.agent_configuration import MASK, options_of


def main(site: Path) -> None:
    """Print the files of every host of a site, which is a folder given by its whole path."""
    os.environ["SOCLE_PLAN_WITHOUT_VAULT"] = "1"
    from socle.deploy.described import Role, SiteVariables  # noqa: PLC0415 - reads the variable above

    variables = SiteVariables(site)
    found = {
        host: {
            component: {
                file.path: described(file)
                for file in variables.rendered(host, Role(component))
                if without_placeholder(file.path) == file.path
            }
            for component in variables.components(host)
        }
        for host in variables.hosts
    }
    json.dump(found, sys.stdout, sort_keys=True)


def described(file: Any) -> dict[str, Any]:
    """A rendered file (``described.LaidFile``); without a hash where its content depends on a secret."""
    if file.state == "link":
        return {"state": "link", "target": file.target}
    if file.state == "absent":
        return {"state": "absent"}
    found = {"state": file.state, "owner": file.owner, "group": file.group, "mode": file.mode.zfill(4)}
    if file.text is None or not file.force:
        return found
    if not file.secret and without_placeholder(file.text) == file.text:
        found["sha256"] = hashlib.sha256(file.text.encode()).hexdigest()
    options = options_of(file.path, file.text)
    return found if options is None else {**found, "options": without_placeholder(options)}


def without_placeholder(value: Any) -> Any:
    """The same with every text that holds the placeholder of a secret replaced as a whole."""
    from socle.deploy.described import PLACEHOLDER  # noqa: PLC0415 - loads Ansible

    if isinstance(value, dict):
        return {key: without_placeholder(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_placeholder(item) for item in value]
    return MASK if isinstance(value, str) and PLACEHOLDER in value else value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
