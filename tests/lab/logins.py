"""What services of the lab log in with, and whether a login is accepted, tried where they run."""

from __future__ import annotations

import json
import re
import subprocess
from urllib.parse import unquote

from socle.catalogue import Catalogue
from socle.paths import project_root, state_dir
from tests.lab.deployed import Lab

CONTROLLER = "ctl1"
LOGINS = project_root() / "plugins/modules/logins.py"


def options(lab: Lab, file: str, name: str) -> list[str]:
    """The values of an option of a service's configuration."""
    text = lab.on(CONTROLLER, f"cat {file}")
    return re.findall(rf"^{name} *= *(.*)$", text, re.MULTILINE)


def login_of(lab: Lab, component: str, kind: str) -> dict[str, str]:
    """What a component logs in with now to the database, the queue or Keystone (``identity``)."""
    file = f"/etc/{component}/{component}.conf"
    if kind == "identity":
        name, password = (options(lab, file, key)[0] for key in ("username", "password"))
        return {"kind": kind, "name": name, "password": password.replace("$$", "$")}
    url = options(lab, file, {"database": "connection", "queue": "transport_url"}[kind])[-1]
    name, password = re.match(r"[^:]+://([^:]+):([^@]+)@", url).groups()  # type: ignore[union-attr]
    return {"kind": kind, "name": name, "password": unquote(password)}


def logins_of(lab: Lab, component: str) -> list[dict[str, str]]:
    """All three."""
    return [login_of(lab, component, kind) for kind in ("database", "queue", "identity")]


def tried(lab: Lab, components: Catalogue, logins: list[dict[str, str]]) -> list[bool]:
    """Whether each login is accepted. The passwords travel by standard input."""
    ports = {name: components[name].listeners for name in ("mariadb", "rabbitmq", "keystone")}
    servers = {
        "database": {
            "host": str(lab.site.endpoints.internal.address),
            "port": ports["mariadb"]["sql"].front_port,
        },
        "queue": {"host": lab.site.hosts[CONTROLLER].address, "port": ports["rabbitmq"]["amqp"].port},
        "identity": f"http://127.0.0.1:{ports['keystone']['api'].port}",
        "ca": "/etc/ssl/certs/ca-certificates.crt",
    }
    lines = [line for line in LOGINS.read_text("utf-8").splitlines() if "ansible" not in line]
    script = "\n".join(lines).partition('if __name__ == "__main__"')[0] + (
        f"\nservers, logins = json.loads({json.dumps([servers, logins])!r})"
        "\nprint(json.dumps([TRIED[l['kind']](servers, l['name'], l['password']) for l in logins]))\n"
    )
    return list(json.loads(on_python(lab, CONTROLLER, script)))


def on_python(lab: Lab, node: str, script: str) -> str:
    """What a Python script prints that root runs on a node; it travels by standard input."""
    config = str(state_dir(lab.site.name) / "ssh_config")
    done = subprocess.run(
        ["ssh", "-F", config, node, "sudo", "python3", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip().splitlines()[-1]
