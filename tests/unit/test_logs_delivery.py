"""A node that is cut off delivers later: Debian's own journald and sender, and a receiver that is killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from socle import catalogue
from socle.lab import prerequisites
from socle.lab.from_site import plan_from_site
from socle.lab.layers import ensure_layers
from socle.logs.store import read_lines
from socle.paths import project_root
from socle.site import load

pytestmark = pytest.mark.slow

UPLOAD = "/usr/lib/systemd/systemd-journal-upload"
MACHINE = "0123456789abcdef0123456789abcdef"
NODE = f"""
set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount -t tmpfs tmpfs run
mount -t proc proc proc
mount --bind /dev dev
mount --bind "$2" tmp
mkdir -p sys/fs/cgroup run/systemd/journal var/log/journal/{MACHINE}
if [ -d /sys/fs/cgroup/unified ]; then cgroup=/sys/fs/cgroup/unified; else cgroup=/sys/fs/cgroup; fi
mount --bind "$cgroup" sys/fs/cgroup
echo {MACHINE} > etc/machine-id
touch run/systemd/journal/flushed
printf '[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=\n' > etc/systemd/journald.conf
exec chroot . /usr/lib/systemd/systemd-journald
"""
"""A root of Debian 13 in a mount namespace of its own, with its journald as the first process."""

MESSAGES = 1000


def layers() -> str:
    """Debian 13 with sender and receiver, as the lab has it; built when it is not there yet."""
    prerequisites.install_missing(print)
    plan = plan_from_site(load(project_root() / "inventories/lab"), catalogue.load())
    layer = ensure_layers(plan, [plan.node("sec1")], print)["sec1"]
    return ":".join(map(str, layer.roots))


class Site:
    """A node with its journal and its sender, and the receiver."""

    def __init__(self, work: Path) -> None:
        self.work = work
        for name in ("root", "upper", "work", "store"):
            (work / name).mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.written = 0
        self.sender: subprocess.Popen[bytes] | None = None
        self.receiver: subprocess.Popen[bytes] | None = None
        self.starts = 0
        command = ["unshare", "--mount", "sh", "-c", NODE, "sh", layers(), str(work)]
        self.journald = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.journal = Path(f"/proc/{self.journald.pid}/root/run/systemd/journal/socket")
        end = time.monotonic() + 10
        while not self.journal.exists() and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(0.5)

    def log(self, count: int, padding: Callable[[int], str] = lambda _number: "") -> None:
        """Entries for the node's journald, by its native protocol."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as entries:
            entries.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            entries.connect(str(self.journal))
            for _ in range(count):
                text = f"number {self.written}{padding(self.written)}".encode()
                message = len(text).to_bytes(8, "little") + text
                entries.send(b"PRIORITY=6\nSYSLOG_IDENTIFIER=marker\nMESSAGE\n" + message + b"\n")
                self.written += 1

    def send(self, certificate: bool = True, scheme: str = "https") -> subprocess.Popen[bytes]:
        """The sender, as its unit starts it."""
        name = "cmp1" if certificate else "none"
        return subprocess.Popen(
            [
                *("nsenter", f"--mount=/proc/{self.journald.pid}/ns/mnt"),
                *("chroot", str(self.work / "root"), UPLOAD),
                f"--url={scheme}://127.0.0.1:{self.port}",
                f"--key=/tmp/{name}.key",
                f"--cert=/tmp/{name}.crt",
                "--trust=/tmp/ca.crt",
                "--save-state=/tmp/state",
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def receive(self) -> None:
        """Start the receiver."""
        environment = {**os.environ, "PYTHONPATH": str(project_root() / "src")}
        command = [sys.executable, "-m", "socle.logs.receiver", str(self.work / "logs.json")]
        self.receiver = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def kill_receiver(self) -> None:
        """As a node that loses its power, but for the disk's own cache."""
        assert self.receiver is not None
        self.receiver.kill()
        self.receiver.wait()

    def keep_sending(self, seconds: float) -> None:
        """Start the sender again whenever it has ended, as systemd does, for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.sender is None or self.sender.poll() is not None:
                self.sender = self.send()
                self.starts += 1
            time.sleep(0.1)

    def kept(self) -> list[str]:
        """The messages in the store, but for what journald says of itself."""
        return [
            entry["MESSAGE"]
            for path in sorted((self.work / "store").glob("cmp1/*.jsonl"))
            for line in read_lines(path)
            if line.endswith(b"\n")  # the receiver may be writing the last one
            if (entry := json.loads(line)).get("SYSLOG_IDENTIFIER") == "marker"
        ]

    def stop(self) -> None:
        """End every process."""
        for process in (self.sender, self.receiver, self.journald):
            if process is not None:
                process.terminate()
                process.wait(timeout=20)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2")

    def openssl(name: str, *words: str) -> None:
        files = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
        subprocess.run(
            ["openssl", "req", "-x509", *key, *words, *files], cwd=tmp_path, check=True, capture_output=True
        )

    openssl("ca", "-subj", "/CN=ca")
    for name in ("sec1", "cmp1"):
        names = ("-subj", f"/CN={name}.site.test", "-addext", "subjectAltName=IP:127.0.0.1")
        openssl(name, *names, "-CA", "ca.crt", "-CAkey", "ca.key")
        (tmp_path / f"{name}.key").chmod(0o644)
    made = Site(tmp_path)
    settings = {
        "address": "127.0.0.1",
        "port": made.port,
        "store": str(tmp_path / "store"),
        "certificate": str(tmp_path / "sec1.crt"),
        "key": str(tmp_path / "sec1.key"),
        "trust": str(tmp_path / "ca.crt"),
        "nodes": {"cmp1.site.test": "cmp1"},
    }
    (tmp_path / "logs.json").write_text(json.dumps(settings))
    yield made
    made.stop()


def test_a_thousand_messages_of_a_cut_off_node_all_arrive_once(site: Site) -> None:
    site.log(100)
    site.keep_sending(1)
    site.log(100)
    site.receive()
    site.keep_sending(2)
    assert len(site.kept()) == 200
    for _ in range(4):
        site.log(100)
        site.kill_receiver()
        site.log(75)
        site.keep_sending(1)
        if site.sender is not None:
            site.sender.kill()
        site.receive()
        site.keep_sending(1.5)
    site.log(MESSAGES - site.written)
    end = time.monotonic() + 20
    while len(set(site.kept())) < MESSAGES and time.monotonic() < end:
        site.keep_sending(0.5)
    kept = site.kept()
    lost = MESSAGES - len(set(kept))
    repeated = len(kept) - len(set(kept))
    assert (lost, repeated) == (0, 0), f"{lost} lost, {repeated} repeated, {site.starts} starts of the sender"
    assert kept == [f"number {number}" for number in range(MESSAGES)]


def test_entries_of_every_size_arrive_as_they_were(site: Site) -> None:
    sizes = (0, 90, 4000, 47000, 150000)

    def padding(number: int) -> str:
        second = "\nsecond line" if number % 7 == 0 else ""
        return "é" * (sizes[number % len(sizes)] // 2 + number % 97) + second

    site.log(MESSAGES, padding)
    site.receive()
    end = time.monotonic() + 60
    while len(site.kept()) < MESSAGES and time.monotonic() < end:
        site.keep_sending(1)
    assert site.kept() == [f"number {number}{padding(number)}" for number in range(MESSAGES)]


def test_a_sender_without_a_certificate_or_in_plaintext_delivers_nothing(site: Site) -> None:
    site.log(10)
    site.receive()
    time.sleep(1)
    for sender in (site.send(certificate=False), site.send(scheme="http")):
        time.sleep(1.5)
        sender.kill()
        sender.wait()
    assert site.kept() == []
    site.keep_sending(2)
    assert len(site.kept()) == 10
