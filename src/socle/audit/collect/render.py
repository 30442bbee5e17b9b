"""Render what the roles lay on a site's hosts, as a program: ``python -m socle.audit.collect.render SITE``.

A process of its own: Ansible keeps its settings for the whole process, and the other collectors go on
meanwhile. No node and no OpenBao is asked, no binary is built; what depends on a secret or on a binary that
is not there yet is left out. Prints one JSON object: host → component → path → the file as
``agent_services.found_file`` describes one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socle.audit.collect.agent_configuration import MASK, options_of
from socle.tools.builder import NOT_BUILT, WITHOUT_BUILDS

if TYPE_CHECKING:
    from socle.deploy.described import SiteVariables


def main(site: Path) -> None:
    """Print the files of every host of a site, which is a folder given by its whole path."""
    os.environ |= {"SOCLE_PLAN_WITHOUT_VAULT": "1", WITHOUT_BUILDS: "1"}
    from socle.deploy.described import SiteVariables  # noqa: PLC0415 - reads the variables above

    variables = SiteVariables(site)
    hosts = sorted(variables.hosts, key=lambda host: -len(variables.components(host)))
    # Children of this process have what it has read: one for each processor, hosts with most work first.
    workers = min(len(os.sched_getaffinity(0)), max(len(hosts), 1))
    with ProcessPoolExecutor(workers, get_context("fork"), _of, (variables,)) as pool:
        found = dict(zip(hosts, pool.map(_host, hosts), strict=True))
    json.dump(found, sys.stdout, sort_keys=True)


_variables: list[SiteVariables] = []


def _of(variables: SiteVariables) -> None:
    _variables.append(variables)


def _host(host: str) -> dict[str, dict[str, Any]]:
    """What the roles of a host lay there, by component and path.

    Raises:
        ValueError: Ansible cannot render it; its own errors cannot be sent to another process.
    """
    from ansible.errors import AnsibleError  # noqa: PLC0415 - loads Ansible

    from socle.deploy.described import Role  # noqa: PLC0415 - as above

    (variables,) = _variables
    try:
        return {
            component: {
                file.path: described(file)
                for file in variables.rendered(host, Role(component))
                if without_placeholder(file.path) == file.path
            }
            for component in variables.components(host)
        }
    except AnsibleError as error:
        raise ValueError(f"{host}: {' '.join(str(error).split())}") from None


def described(file: Any) -> dict[str, Any]:
    """A rendered file (``described.LaidFile``); without what depends on a secret or a build."""
    if file.state == "link":
        target = {"target": file.target} if without_placeholder(file.target) == file.target else {}
        return {"state": "link", **target}
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
    """The same with every text that holds a placeholder replaced as a whole."""
    from socle.deploy.described import PLACEHOLDER  # noqa: PLC0415 - loads Ansible

    if isinstance(value, dict):
        return {key: without_placeholder(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_placeholder(item) for item in value]
    return MASK if isinstance(value, str) and (PLACEHOLDER in value or NOT_BUILT in value) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
