"""Rotation in the lab: every API is called meanwhile, the old credentials are refused, kills lose nothing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import Any

import pytest
import requests

from socle.catalogue import Catalogue
from socle.paths import project_root
from tests.lab.deployed import ROOT, SOCLE, Lab
from tests.lab.logins import CONTROLLER, logins_of, on_python, tried
from tests.lab.prober import Prober, endpoint

pytestmark = pytest.mark.lab

HYPERVISOR = "cmp1"
SWITCHING = "services change to the new"
GUIDE = (project_root() / "docs/operator/rotation.md").read_text("utf-8")
AFTER_A_KILL = GUIDE.partition("## Killed")[2].partition("```sh\n")[2].partition("\n```")[0]
"""What the operator's guide says to do."""


def rotated(lab: Lab, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(lab.socle("vault", "rotate", name, "--json").stdout)
    return facts


@pytest.mark.long
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
    prober.judge()


def test_a_token_outlives_a_turn_of_the_keys(lab: Lab, cloud: Any, prober: Prober) -> None:
    keys = lab.on(CONTROLLER, "ls /etc/keystone/fernet-keys").split()
    token = cloud.auth_token
    with prober:
        rotated(lab, "keystone/fernet")
        rotated(lab, "keystone/credential")
    after = lab.on(CONTROLLER, "ls /etc/keystone/fernet-keys").split()
    assert max(map(int, after)) == max(map(int, keys)) + 1
    url = f"{endpoint(cloud, 'identity')}/auth/tokens"
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    assert requests.get(url, headers=headers, timeout=30, verify=str(lab.ca_file)).ok
    assert written_by_the_highest(lab, max(map(int, after)), cloud)
    prober.judge()


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
        shown, told = (lab.socle(*line.split()[1:]).stdout for line in AFTER_A_KILL.splitlines())
    assert re.search(r"vault rotate cinder, \S+ \S+, interrupted", " ".join(shown.split()))
    assert "An interrupted rotation was finished: cinder/database" in told
    assert tried(lab, components, old) == [False, False, False]
    assert tried(lab, components, logins_of(lab, "cinder")) == [True, True, True]
    prober.judge()


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


@pytest.mark.long
def test_a_deployment_after_all_this_finds_nothing_to_do(lab: Lab) -> None:
    assert lab.deploy_and_see_changes() == {}
