"""A machine of its own under QEMU without hardware help: started, asked by SSH, started again, ended."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from socle.lab.process import DIE_WITH_PARENT
from socle.vault import ssh
from tests.hosts.machine_root import machine_root

QEMU = "qemu-system-x86_64"
MEMORY = "768"
BOOT_SECONDS = 600
COMMAND_SECONDS = 600
COMMAND_LINE = "root=/dev/vda console=ttyS0 net.ifnames=0"


@dataclass
class Machine:
    """A machine whose disk is a copy in ``folder``; its SSH server answers on a port of the loopback."""

    folder: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def make(self) -> None:
        """Copy the disk and let a key of the folder's in."""
        made = machine_root()
        copy = ["cp", "--sparse=always", "--reflink=auto", made / "disk", self.folder / "disk"]
        subprocess.run(copy, check=True)
        for name in ("kernel", "initrd"):
            (self.folder / name).symlink_to(made / name)
        key = ssh.new_key(self.folder, "probe")
        public = key.with_name(f"{key.name}.pub")
        there = "/home/socle/.ssh/authorized_keys"
        script = (
            f"write {public} {there}\nsif {there} uid 1000\nsif {there} gid 1000\nsif {there} mode 0100600\n"
        )
        fill = ["debugfs", "-w", "-f", "-", self.folder / "disk"]
        subprocess.run(fill, input=script, text=True, check=True, capture_output=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.ssh_config.write_text(
            f"Host *\n  HostName 127.0.0.1\n  Port {self.port}\n  User socle\n  IdentityFile {key}\n"
            "  IdentitiesOnly yes\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  HostKeyAlias machine\n"
        )

    @property
    def ssh_config(self) -> Path:
        """How to come in, for ssh and Ansible."""
        return self.folder / "ssh_config"

    @property
    def console(self) -> Path:
        """All that the machine wrote on its console."""
        return self.folder / "console"

    def start(self, command_line: str = COMMAND_LINE) -> float:
        """Start it and wait until it answers; the seconds that it took."""
        begun = time.monotonic()
        net = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"
        command = [
            *(QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY, "-nographic"),
            *("-no-reboot", "-monitor", "none", "-serial", f"file:{self.console}"),
            *(
                "-kernel",
                f"{self.folder}/kernel",
                "-initrd",
                f"{self.folder}/initrd",
                "-append",
                command_line,
            ),
            *("-drive", f"file={self.folder}/disk,format=raw,if=virtio,cache=unsafe"),
            *("-netdev", net, "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"),
        ]
        self._process = subprocess.Popen(
            [*DIE_WITH_PARENT, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        while self.run("true").returncode != 0:
            assert self._process.poll() is None, self._last_words()
            assert time.monotonic() < begun + BOOT_SECONDS, self._last_words()
            time.sleep(1)
        return time.monotonic() - begun

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a shell as the deploying account."""
        session = [
            "ssh",
            "-F",
            str(self.ssh_config),
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=10",
            "machine",
        ]
        return subprocess.run(
            [*session, command], capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
        )

    def root(self, script: str) -> str:
        """What a script of a shell prints when root runs it."""
        session = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", "machine", "sudo -n sh"]
        done = subprocess.run(
            session, input=script, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
        )
        return done.stdout + (f"\n{done.stderr}" if done.returncode > 1 else "")

    def halt(self) -> None:
        """Stop it as its power button would, its disk in order."""
        assert self._process
        self.run("sudo -n systemctl --no-block poweroff")
        self._process.wait(timeout=BOOT_SECONDS)

    def end(self) -> None:
        """Stop it at once."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        lines: Sequence[str] = (
            self.console.read_text(errors="replace").splitlines() if self.console.exists() else ()
        )
        return "\n".join(["the machine does not answer; its console says:", *lines[-15:]])
