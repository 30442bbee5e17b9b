"""Rotations and a renewal are killed at ten random moments and run again: the old is dead, nothing is lost.

Every API is called all the time. ``SOCLE_TEST_SEED`` chooses other moments and another sample of rotations:
``make test-long`` kills the rest.
"""

from __future__ import annotations

import json
import os
import random
import signal
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from socle import credentials, vault
from socle.catalogue import Catalogue
from socle.deploy import journal
from socle.paths import state_dir
from socle.vault.rotation import Rotation
from socle.vault.rotation_targets import Login
from tests.lab.deployed import ROOT, SOCLE, Lab
from tests.lab.logins import CONTROLLER, login_of, on_python, tried
from tests.lab.prober import Prober
from tests.waiting import eventually

pytestmark = pytest.mark.lab

SEED = int(os.environ.get("SOCLE_TEST_SEED", "1313"))
LOGIN = "/etc/socle/openbao-login.json"
START_SECONDS = 2.0
"""Until a rotation begins with its first step."""
LIKELY_SECONDS = 15.0
"""Of a rotation that this machine never did."""
NAMES = (
    "placement/database",
    "keystone/fernet",
    "logins/host-cmp1",
    "cinder/queue",
    "certificates/ctl1",
    "placement/database",
    "keystone/fernet",
    "logins/host-ctl1",
)
"""What is rotated when it is killed. The unit that renews a host's certificates is killed twice."""
UNIT = "socle-certificates.service"
UNIT_SECONDS = 4.0


def moments() -> list[float]:
    """Shares of the time that a run takes, one in each tenth of it."""
    drawn, count = random.Random(SEED), len(NAMES) + 2  # noqa: S311 - moments, not secrets
    found = [(tenth + drawn.random()) / count for tenth in range(count)]
    drawn.shuffle(found)
    return found


KILLS = list(enumerate(zip(NAMES, moments(), strict=False)))
SAMPLE = random.Random(SEED).sample(range(1, 5), 2)  # noqa: S311 - a sample, not a secret
"""Of fernet keys, a login, the queue and certificates: passwords are killed in test_rotation.py too."""
CASES = [
    pytest.param(
        number,
        (name, moment),
        id=f"{number}-{name}-at-{moment:.2f}",
        marks=[] if number in SAMPLE else pytest.mark.long,
    )
    for number, (name, moment) in KILLS
]


@dataclass
class Cloud:
    """What is looked at before a kill and after the run that follows it."""

    lab: Lab
    components: Catalogue
    measured: list[str] = field(default_factory=list)

    @cached_property
    def rotation(self) -> Rotation:
        """OpenBao as a rotation sees it."""
        return Rotation(vault.place_of(self.lab.site, self.components), self.components)

    def kept(self, component: str) -> dict[str, Any]:
        """A component's secrets in OpenBao."""
        found: dict[str, Any] = self.rotation.speaker.read(f"kv/data/services/{component}")["data"]["data"]
        return found

    def measure(self, name: str, prober: Prober) -> None:
        """No API was away for longer than it may be, and all answer at the end."""
        prober.judge()
        assert all(not record.calls[-1][2] for record in prober.records.values()), prober.table()
        gap, slowest = (max(getattr(r, what) for r in prober.records.values()) for what in ("gap", "slowest"))
        self.measured.append(f"{name}: longest gap of an API {gap:.1f} s, slowest answer {slowest:.1f} s")


@pytest.fixture(scope="module")
def watched(lab: Lab, components: Catalogue) -> Iterator[Cloud]:
    print(f"SOCLE_TEST_SEED={SEED}")  # noqa: T201
    made = Cloud(lab, components)
    yield made
    print("\n".join(made.measured))  # noqa: T201 - the measurement


class Password:
    """Of an account at the database or the queue."""

    def __init__(self, cloud: Cloud, path: str) -> None:
        self.cloud, (self.component, self.kind) = cloud, path.split("/")
        self.old = self._used()
        assert tried(cloud.lab, cloud.components, [self.old]) == [True]

    def _used(self) -> dict[str, str]:
        return login_of(self.cloud.lab, self.component, self.kind)

    def judge(self) -> None:
        """The old one is refused, and the service's own is the one in OpenBao, and accepted."""
        new, kept = self._used(), self.cloud.kept(self.component)
        assert tried(self.cloud.lab, self.cloud.components, [self.old, new]) == [False, True]
        account = credentials.account(kept, self.component, self.kind)
        assert (new["name"], new["password"]) == (account.name, account.password)
        assert not {f"{self.kind}_rotation", f"{self.kind}_other"} & kept.keys()


class Keys:
    """With which Keystone writes its tokens."""

    def __init__(self, cloud: Cloud, _path: str) -> None:
        self.cloud, self.old = cloud, cloud.kept("keystone")

    def judge(self) -> None:
        """The node has OpenBao's keys and no other, and what wrote tokens before only reads them."""
        kept = self.cloud.kept("keystone")
        ring = credentials.ring(kept, "fernet")
        folder = "/etc/keystone/fernet-keys"
        script = (
            "import json, pathlib\n"
            f"files = pathlib.Path('{folder}').iterdir()\n"
            "print(json.dumps({int(file.name): file.read_text().strip() for file in files}))\n"
        )
        laid = {int(n): key for n, key in json.loads(on_python(self.cloud.lab, CONTROLLER, script)).items()}
        assert laid == ring
        assert ring[max(ring)] != self.old["fernet_1"], "it writes still"
        assert "fernet_former" not in self.old or self.old["fernet_former"] not in ring.values()
        assert not {"fernet_rotation", "fernet_other"} & kept.keys()


class MachineLogin:
    """A host's login to OpenBao."""

    def __init__(self, cloud: Cloud, path: str) -> None:
        self.cloud, self.role = cloud, path.partition("/")[2]
        self.host = self.role.removeprefix("host-")
        self.old = self._used()
        assert self._accepted(self.old)

    def _used(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.cloud.lab.on(self.host, f"cat {LOGIN}"))
        return found

    def judge(self) -> None:
        """OpenBao knows one SecretID, which is the one that the machine has."""
        new = self._used()
        assert [self._accepted(login) for login in (self.old, new)] == [False, True]
        assert len(self.cloud.rotation.accessors(Login(self.role, self.host))) == 1

    def _accepted(self, login: dict[str, str]) -> bool:
        script = (
            "import json, ssl, urllib.error, urllib.request\n"
            "base = json.load(open('/etc/socle/certificates.json'))['openbao'][0]\n"
            "trust = ssl.create_default_context(cafile='/etc/ssl/certs/ca-certificates.crt')\n"
            "url = base + '/v1/auth/approle/login'\n"
            f"request = urllib.request.Request(url, {json.dumps(login)!r}.encode(), method='POST')\n"
            "try:\n"
            "    print(urllib.request.urlopen(request, context=trust, timeout=20).status)\n"
            "except urllib.error.HTTPError as error:\n"
            "    print(error.code)\n"
        )
        answer = on_python(self.cloud.lab, self.host, script)
        assert answer in {"200", "400", "403"}, answer
        return answer == "200"


class Certificates:
    """All of a host."""

    def __init__(self, cloud: Cloud, path: str) -> None:
        self.cloud, self.host = cloud, path.partition("/")[2]
        self.old = self._laid()

    def _laid(self) -> dict[str, str]:
        """Serial numbers by name; fails when files do not fit each other or the authority."""
        script = (
            "import json, pathlib, ssl, subprocess\n"
            "tls, serials = pathlib.Path('/etc/socle/tls'), {}\n"
            "root = '/usr/local/share/ca-certificates/socle.crt'\n"
            "for one in json.load(open('/etc/socle/certificates.json'))['certificates']:\n"
            "    crt, key, pem = (tls / f\"{one['name']}.{end}\" for end in ('crt', 'key', 'pem'))\n"
            "    ssl.create_default_context().load_cert_chain(crt, key)\n"
            "    assert pem.read_text() == crt.read_text() + key.read_text(), one['name']\n"
            "    trusted = ['-CAfile', root, '-untrusted', str(crt)]\n"
            "    subprocess.run(['openssl', 'verify', *trusted, str(crt)], check=True, capture_output=True)\n"
            "    asked = ['openssl', 'x509', '-noout', '-serial', '-in', str(crt)]\n"
            "    done = subprocess.run(asked, check=True, capture_output=True, text=True)\n"
            "    serials[one['name']] = done.stdout\n"
            "assert not pathlib.Path('/etc/socle/reloads-owed.json').exists()\n"
            "print(json.dumps(serials))\n"
        )
        found: dict[str, str] = json.loads(on_python(self.cloud.lab, self.host, script))
        return found

    def judge(self, among: bool = False) -> None:
        """All are new, or whole where a kill came among them; the proxy shows what is laid."""
        new = self._laid()
        assert new.keys() == self.old.keys()
        if not among:
            assert not [name for name, serial in new.items() if serial == self.old[name]]
        if "endpoints" in new:
            public = self.cloud.lab.site.endpoints.public
            port = self.cloud.components["keystone"].listeners["api"].front_port
            where, trust = (str(public.address), port), str(self.cloud.lab.ca_file)
            laid = self.cloud.lab.on(self.host, "cat /etc/socle/tls/endpoints.crt")
            eventually(lambda: ssl.get_server_certificate(where, ca_certs=trust).strip() in laid, seconds=30)


KINDS = {"database": Password, "queue": Password, "fernet": Keys}


def target(cloud: Cloud, path: str) -> Password | Keys | MachineLogin | Certificates:
    """What is known of one before it is rotated."""
    first, _slash, last = path.partition("/")
    kind = {"logins": MachineLogin, "certificates": Certificates}.get(first) or KINDS[last]
    return kind(cloud, path)


def family(process: int) -> set[int]:
    """Process groups of a process and of all that it began: Ansible has one of its own."""
    done = subprocess.run(["ps", "-eo", "pid=,ppid=,pgid="], capture_output=True, text=True, check=True)
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    found = {process}
    while more := {pid for pid, parent, _group in rows if parent in found} - found:
        found |= more
    return {group for pid, _parent, group in rows if pid in found}


def killed(site: str, name: str, moment: float, everything: bool) -> str:
    """Begin a rotation and kill it after a share of the time that it takes; what it did last.

    Args:
        everything: Ansible at once too; else it ends by itself, kindly, for who began it is gone.
    """
    likely = sum(journal.last_seconds(state_dir(site), f"vault rotate {name}").values()) or LIKELY_SECONDS
    seconds = START_SECONDS + likely * moment
    while True:
        process = subprocess.Popen(
            [*SOCLE, "vault", "rotate", name],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            break
        assert process.returncode == 0, process.stdout and process.stdout.read()
        seconds /= 2
    for group in family(process.pid) if everything else {process.pid}:
        os.killpg(group, signal.SIGKILL)
    said, _nothing = process.communicate()
    last = said.strip().splitlines()[-1:] or ["before its first step"]
    return f"{seconds:.1f} s: {last[0]}"


@pytest.mark.parametrize(("number", "kill"), CASES)
def test_killed_and_run_again(
    watched: Cloud, cloud: Any, prober: Prober, number: int, kill: tuple[str, float]
) -> None:
    name, moment = kill
    lab, before = watched.lab, target(watched, name)
    # Two turns of the keys end a token.
    cloud.session.invalidate()
    prober.headers["X-Auth-Token"] = cloud.session.get_token()
    with prober:
        when = killed(lab.site.name, name, moment, everything=number % 2 == 0)
        told = json.loads(lab.socle("vault", "rotate", name, "--json").stdout)
        before.judge()
    assert told["rotated"] == [name]
    watched.measure(f"{name} killed after {when}", prober)


def test_the_renewing_unit_killed_and_run_again(watched: Cloud, prober: Prober) -> None:
    lab, when = watched.lab, []
    before = Certificates(watched, f"certificates/{CONTROLLER}")
    with prober:
        for moment in moments()[len(NAMES) :]:
            when.append(unit_killed(lab, moment))
            lab.on(CONTROLLER, f"systemctl start {UNIT}")
            before.judge(among=True)
    watched.measure(f"{UNIT} killed after {when} s", prober)


def unit_killed(lab: Lab, moment: float) -> str:
    """Have all certificates of a host renewed by its unit, and kill it; after how many seconds."""
    own, seconds = f"/run/systemd/system/{UNIT}.d", UNIT_SECONDS * moment
    lines = r"[Service]\nExecStart=\nExecStart=/usr/local/sbin/socle-certificates --renew\n"
    begin, end = f"systemctl start --no-block {UNIT}", f"systemctl kill -s KILL {UNIT}"
    lab.on(CONTROLLER, f"mkdir -p {own}; printf '{lines}' > {own}/all.conf; systemctl daemon-reload")
    try:
        while True:
            lab.on(CONTROLLER, f"{begin}; sleep {seconds:.3f}; {end}; sleep 0.2", check=False)
            result = lab.on(CONTROLLER, f"systemctl show -P Result {UNIT}; systemctl reset-failed {UNIT}")
            if result.strip() == "signal":
                return f"{seconds:.1f}"
            seconds /= 2
    finally:
        lab.on(CONTROLLER, f"rm -r {own}; systemctl daemon-reload")


@pytest.mark.long
def test_a_deployment_finds_nothing_to_do(watched: Cloud) -> None:
    assert watched.lab.deploy_and_see_changes() == {}
