"""Rotation in the lab: every API is called meanwhile, the old credentials are refused, kills lose nothing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from socle.catalogue import Catalogue
from socle.paths import project_root, state_dir
from tests.lab.deployed import ROOT, SOCLE, Lab
from tests.lab.prober import Prober

pytestmark = pytest.mark.lab

CONTROLLER, HYPERVISOR = "ctl1", "cmp1"
GAP_SECONDS = 5
"""Of one API. Only a service that cannot be reloaded has any."""
SWITCHING = "services change to the new"
URLS = {
    "keystone": ("identity", "/projects"),
    "nova": ("compute", "/servers"),
    "neutron": ("network", "/v2.0/networks"),
    "glance": ("image", "/v2/images"),
    "placement": ("placement", "/resource_providers"),
    "barbican": ("key-manager", "/v1/secrets"),
    "cinder": ("block-storage", "/scheduler-stats/get_pools"),
}
"""Cinder's asks its scheduler by the queue; so does Nova's console, where a server runs."""
LOGINS = project_root() / "plugins/modules/logins.py"


@pytest.fixture
def prober(lab: Lab, cloud: Any) -> Prober:
    """A client of every API."""
    urls: dict[str, tuple[str, dict[str, Any] | None]] = {
        name: (_endpoint(cloud, kind) + path, None) for name, (kind, path) in URLS.items()
    }
    server = next((s for s in cloud.compute.servers(all_projects=True) if s.status == "ACTIVE"), None)
    if server:
        action = f"{_endpoint(cloud, 'compute')}/servers/{server.id}/action"
        urls["nova by the queue"] = (action, {"os-getConsoleOutput": {"length": 1}})
    return Prober(urls, cloud.auth_token, str(lab.ca_file))


def _endpoint(cloud: Any, kind: str) -> str:
    url = str(cloud.session.get_endpoint(service_type=kind, interface="public")).rstrip("/")
    if kind == "identity":
        return url if url.endswith("/v3") else f"{url}/v3"
    return re.sub(r"/v(1|2|2\.0)$", "", url) if kind in {"network", "image", "key-manager"} else url


def options(lab: Lab, file: str, name: str) -> list[str]:
    """The values of an option of a service's configuration."""
    text = lab.on(CONTROLLER, f"cat {file}")
    return re.findall(rf"^{name} *= *(.*)$", text, re.MULTILINE)


def logins_of(lab: Lab, component: str) -> list[dict[str, str]]:
    """What a component logs in with now: database, queue, Keystone."""
    file = f"/etc/{component}/{component}.conf"
    found = []
    for kind, option in (("database", "connection"), ("queue", "transport_url")):
        url = options(lab, file, option)[-1]
        name, password = re.match(r"[^:]+://([^:]+):([^@]+)@", url).groups()  # type: ignore[union-attr]
        found.append({"kind": kind, "name": name, "password": unquote(password)})
    (name, *_names), (password, *_words) = (options(lab, file, key) for key in ("username", "password"))
    return [*found, {"kind": "identity", "name": name, "password": password.replace("$$", "$")}]


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


def rotated(lab: Lab, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(lab.socle("vault", "rotate", name, "--json").stdout)
    return facts


def unchanged(lab: Lab) -> None:
    facts = json.loads(lab.socle("deploy", "--json").stdout)
    assert {p["name"]: p["changed"] for p in facts["phases"] if p["changed"]} == {}


def judged(prober: Prober) -> None:
    print(prober.table())  # noqa: T201 - the measurement
    assert all(len(record.calls) > 10 for record in prober.records.values()), prober.table()
    assert all(record.gap <= GAP_SECONDS for record in prober.records.values()), prober.table()


def test_passwords_change_while_every_api_is_called(lab: Lab, components: Catalogue, prober: Prober) -> None:
    old = logins_of(lab, "nova")
    assert tried(lab, components, old) == [True, True, True]
    with prober:
        facts = rotated(lab, "nova")
    assert set(facts["rotated"]) >= {"nova/database", "nova/queue", "nova/identity"}
    new = logins_of(lab, "nova")
    assert tried(lab, components, old) == [False, False, False]
    assert tried(lab, components, new) == [True, True, True]
    assert not [one for one in new if one["password"] in {former["password"] for former in old}]
    judged(prober)
    unchanged(lab)


def test_a_token_outlives_a_turn_of_the_keys(lab: Lab, cloud: Any, prober: Prober) -> None:
    keys = lab.on(CONTROLLER, "ls /etc/keystone/fernet-keys").split()
    token = cloud.auth_token
    with prober:
        rotated(lab, "keystone/fernet")
        rotated(lab, "keystone/credential")
    after = lab.on(CONTROLLER, "ls /etc/keystone/fernet-keys").split()
    assert max(map(int, after)) == max(map(int, keys)) + 1
    url = f"{_endpoint(cloud, 'identity')}/auth/tokens"
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    assert requests.get(url, headers=headers, timeout=30, verify=str(lab.ca_file)).ok
    assert written_by_the_highest(lab, max(map(int, after)), cloud)
    judged(prober)
    unchanged(lab)


def written_by_the_highest(lab: Lab, number: int, cloud: Any) -> bool:
    """Whether a new token opens with the newest key alone."""
    cloud.session.invalidate()
    token = cloud.session.get_token()
    script = (
        "from cryptography.fernet import Fernet\n"
        f"key = open('/etc/keystone/fernet-keys/{number}').read()\n"
        f"token = {token!r}\n"
        "Fernet(key).decrypt((token + '=' * (-len(token) % 4)).encode())\n"
        "print(True)\n"
    )
    return on_python(lab, CONTROLLER, script) == "True"


def test_killed_while_services_change_and_run_again(lab: Lab, components: Catalogue, prober: Prober) -> None:
    old = logins_of(lab, "cinder")
    with prober:
        process = subprocess.Popen(
            [*SOCLE, "vault", "rotate", "cinder"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert any(line.startswith(SWITCHING) for line in process.stdout), "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        facts = rotated(lab, "cinder")
    assert "cinder/database" in facts["resumed"]
    assert tried(lab, components, old) == [False, False, False]
    assert tried(lab, components, logins_of(lab, "cinder")) == [True, True, True]
    judged(prober)
    unchanged(lab)


def test_a_hosts_login_and_certificates(lab: Lab) -> None:
    file = "/etc/socle/openbao-login.json"
    old = lab.on(HYPERVISOR, f"cat {file}")
    serial = "openssl x509 -noout -serial -in /etc/socle/tls/libvirt.crt"
    before = lab.on(HYPERVISOR, serial)
    rotated(lab, f"logins/host-{HYPERVISOR}")
    rotated(lab, f"certificates/{HYPERVISOR}")
    assert lab.on(HYPERVISOR, serial) != before
    assert lab.on(HYPERVISOR, f"cat {file}") != old
    script = (
        "import json, ssl, urllib.error, urllib.request\n"
        "base = json.load(open('/etc/socle/certificates.json'))['openbao'][0]\n"
        "trust = ssl.create_default_context(cafile='/etc/ssl/certs/ca-certificates.crt')\n"
        "url = base + '/v1/auth/approle/login'\n"
        f"request = urllib.request.Request(url, {old!r}.encode(), method='POST')\n"
        "try:\n"
        "    urllib.request.urlopen(request, context=trust, timeout=20)\n"
        "    print('accepted')\n"
        "except urllib.error.HTTPError as error:\n"
        "    print(error.code)\n"
    )
    assert on_python(lab, HYPERVISOR, script) in {"400", "403"}
    unchanged(lab)
