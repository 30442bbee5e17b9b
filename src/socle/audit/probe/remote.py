"""Run one of the probes' own scripts on a host, as root, by one SSH session."""

from __future__ import annotations

import json
import shlex
import subprocess
from importlib.resources import files
from typing import Any, Final

from socle.deploy.nodes import ssh
from socle.errors import SocleError
from socle.site import Host, Site
from socle.site.entrance import reason

SECONDS: Final = 180


def call(site: Site, host: Host, script: str, function: str, *arguments: Any) -> Any:
    """What a function of a script of this folder returns on a host, through JSON.

    Raises:
        SocleError: the host does not answer, or the script fails there.
    """
    source = files("socle.audit.probe").joinpath(f"{script}.py").read_text("utf-8")
    given = json.dumps(arguments)
    line = f"import json\nprint(json.dumps({function}(*json.loads({given!r}))))\n"
    words = [*ssh(site, host), shlex.join(["sudo", "-n", "python3", "-"])]
    try:
        done = subprocess.run(
            words, input=f"{source}\n{line}", capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise SocleError(f"ne répond pas en {SECONDS} s", where=host.name) from error
    if done.returncode != 0:
        raise SocleError(reason(done.stderr, f"ssh finit par {done.returncode}"), where=host.name)
    return json.loads(done.stdout)
