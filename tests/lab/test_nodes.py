"""The nodes, in a second lab beside the deployed one: made, left alone, killed, gone without trace."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from socle.errors import ExitCode, SocleError
from socle.lab import Lab
from socle.paths import project_root, state_dir
from socle.site import load

pytestmark = pytest.mark.lab

NAME = "essai"
COMMAND = """
import sys
from pathlib import Path
from socle.lab import Lab
from socle.site import load
getattr(Lab.of(load(Path(sys.argv[1]))), sys.argv[2])(print)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's site folder under another name and with other prefixes."""
    copy = tmp_path_factory.mktemp("sites") / NAME
    shutil.copytree(project_root() / "inventories/lab", copy)
    for file in copy.rglob("*.yml"):
        text = file.read_text(encoding="utf-8").replace("10.77.", "10.97.")
        file.write_text(text.replace("lab.socle.test", "essai.socle.test"), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def second(folder: Path) -> Iterator[Lab]:
    """The second lab, up; nothing of it stays."""
    lab = Lab.of(load(folder))
    lab.reset(print)
    lab.up(print)
    yield lab
    lab.reset(print)
    shutil.rmtree(state_dir(NAME))


def on(lab: Lab, node: str, command: str) -> str:
    """Run a command as root on a node of the second lab."""
    session = ["ssh", "-F", str(lab.ssh_config), node, "sudo", "sh", "-c", f"'{command}'"]
    done = subprocess.run(session, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{node}: {command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def reaches(lab: Lab, node: str, address: str, *options: str) -> bool:
    """Whether a ping is answered."""
    command = ["ssh", "-F", str(lab.ssh_config), node, "sudo", "ping", "-c1", "-W1", *options, address]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def boot_marks(lab: Lab) -> dict[str, str]:
    """When the first process of each node started: changes when the node boots."""
    return {node.name: on(lab, node.name, "stat -c %Y /proc/1") for node in lab.plan.nodes}


def traces(lab: Lab) -> list[str]:
    """Everything of the second lab that the machine still knows."""
    links = json.loads(subprocess.check_output(["ip", "-json", "link"]))
    found = [link["ifname"] for link in links if NAME in link["ifname"]]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if NAME in line]
    found += [str(path) for path in Path("/sys/fs/cgroup").rglob(f"socle-{NAME}-*")]
    found += [str(path) for path in Path("/run/socle").glob(NAME)]
    found += [line for line in Path("/etc/hosts").read_text().splitlines() if NAME in line]
    tables = subprocess.check_output(["nft", "list", "tables"], text=True).splitlines()
    found += [table for table in tables if NAME in table]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"socle-{NAME}-" in words:
            found += [words]
    return found


def start(folder: Path, verb: str) -> subprocess.Popen[bytes]:
    """Run a lab command in a process of its own."""
    environment = {"PYTHONPATH": str(project_root() / "src"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.Popen([sys.executable, "-c", COMMAND, str(folder), verb], env=environment)


def test_every_node_runs_and_answers(second: Lab) -> None:
    running = {status.name for status in second.status() if status.state == "running"}
    assert running == {"ctl1", "cmp1", "cmp2", "sto1", "sec1"}
    for node in second.plan.nodes:
        assert on(second, node.name, "hostname") == node.name
        assert on(second, node.name, "systemctl is-system-running --wait || systemctl --failed") == "running"


def test_every_node_is_itself_and_no_other(second: Lab) -> None:
    for file in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        contents = {on(second, node.name, f"cat {file}") for node in second.plan.nodes}
        assert len(contents) == len(second.plan.nodes)


def test_a_node_has_an_interface_per_zone_and_no_route_out(second: Lab) -> None:
    links = json.loads(on(second, "cmp1", "ip -json link"))
    assert {link["ifname"]: link["mtu"] for link in links if link["ifname"] != "lo"} == {
        "admin": 1500,
        "storage": 1500,
        "overlay": 9000,
        "provider": 1500,
    }
    assert "default" not in on(second, "cmp1", "ip route")
    addresses = json.loads(on(second, "cmp1", "ip -json address show provider"))
    assert addresses[0]["addr_info"] == []


def test_a_node_may_set_its_own_network_parameters(second: Lab) -> None:
    assert on(second, "cmp1", "sysctl -n -w net.ipv4.ip_forward=1") == "1"
    assert on(second, "cmp1", "ls -l /dev/net/tun /dev/fuse | wc -l") == "2"


def test_nodes_meet_inside_a_zone_with_large_packets_on_the_overlay(second: Lab) -> None:
    assert reaches(second, "ctl1", "10.97.0.41")
    assert reaches(second, "cmp1", "10.97.3.22", "-M", "do", "-s", "8000")


def test_nothing_passes_from_one_zone_to_another(second: Lab) -> None:
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    before = forwarding.read_text()
    forwarding.write_text("1")
    try:
        on(second, "sec1", "ip route replace 10.97.1.0/24 via 10.97.0.1")
        on(second, "ctl1", "ip route replace 10.97.0.41/32 via 10.97.1.1 dev api")
        assert not reaches(second, "sec1", "10.97.1.11")
        assert reaches(second, "sec1", "10.97.1.1")  # the machine's own address needs no forwarding
    finally:
        forwarding.write_text(before)
        on(second, "ctl1", "ip route delete 10.97.0.41/32")
        on(second, "sec1", "ip route delete 10.97.1.0/24")


def test_a_second_up_leaves_nodes_alone(second: Lab) -> None:
    before = boot_marks(second)
    second.up(print)
    assert boot_marks(second) == before


def test_a_stopped_node_is_started_again_and_the_others_left_alone(second: Lab) -> None:
    before = boot_marks(second)
    second.container("sto1").kill()
    second.up(print)
    after = boot_marks(second)
    assert [name for name in before if before[name] != after[name]] == ["sto1"]


def test_down_leaves_no_trace_and_up_finds_the_disks_again(second: Lab) -> None:
    identity = on(second, "sec1", "echo kept >/root/kept; cat /etc/machine-id")
    second.down(print)
    assert traces(second) == []
    assert {status.state for status in second.status()} == {"stopped"}
    second.up(print)
    assert on(second, "sec1", "cat /root/kept /etc/machine-id") == f"kept\n{identity}"


def test_down_twice_is_fine(second: Lab) -> None:
    second.down(print)
    second.down(print)
    assert traces(second) == []
    second.up(print)


def test_reset_forgets_the_disks(second: Lab) -> None:
    on(second, "sec1", "echo gone >/root/gone")
    second.reset(print)
    assert {status.state for status in second.status()} == {"absent"}
    second.up(print)
    assert on(second, "sec1", "ls /root") == ""


def test_a_second_command_is_told_that_the_first_is_at_work(second: Lab) -> None:
    with second._lock(), pytest.raises(SocleError) as refused:
        second.up(print)
    assert refused.value.exit_code == ExitCode.LOCKED


def test_shell_of_a_node_that_does_not_exist(second: Lab) -> None:
    with pytest.raises(SocleError, match="no node ctl9; expected ctl1 or"):
        second.shell("ctl9")
    assert second.shell("ctl1", ["exit 7"]) == 7


def test_up_adds_packages_that_the_catalogue_asks_for_since(second: Lab) -> None:
    grown = tuple(
        dataclasses.replace(node, packages=(*node.packages, "hello", "xxd")) if node.name == "sec1" else node
        for node in second.plan.nodes
    )
    lab = Lab(dataclasses.replace(second.plan, nodes=grown))
    before = boot_marks(second)
    assert {status.name: status.lacks for status in lab.status() if status.lacks} == {
        "sec1": ("hello", "xxd")
    }
    lab.up(print)
    assert on(second, "sec1", "hello") == "Hello, world!"
    assert boot_marks(second) == before
    assert not any(status.lacks for status in lab.status())


@pytest.mark.parametrize(
    "verb", ["up", *(pytest.param(v, marks=pytest.mark.long) for v in ("down", "reset"))]
)
def test_killed_at_any_moment_the_same_command_finishes(second: Lab, folder: Path, verb: str) -> None:
    for moment in (0.7, 1.0, 1.2, 1.5, 1.8, 2.2):
        second.up(print) if verb != "up" else second.reset(print)
        process = start(folder, verb)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert start(folder, verb).wait() == 0
        if verb == "up":
            assert {status.state for status in second.status()} == {"running"}
            assert on(second, "cmp2", "hostname") == "cmp2"
        else:
            assert traces(second) == []
    second.up(print)
