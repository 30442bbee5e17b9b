"""The way in to a node of the lab that no SSH session opens: as its root, from its machine."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from socle.errors import SocleError
from socle.lab.container import Container
from socle.lab.disk import Disk


class Held(Container):
    """A container whose processes are those below one of ours."""

    first: subprocess.Popen[bytes]

    def processes(self) -> list[int]:
        pid = self.first.pid
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, below)]


def held(tmp_path: Path, *command: str) -> Held:
    found = Held("probe", "ctl1", Disk(tmp_path))
    process = subprocess.Popen([*command, "sh", "-c", "read word"], stdin=subprocess.PIPE)
    object.__setattr__(found, "first", process)
    return found


def test_a_node_is_entered_as_root(tmp_path: Path) -> None:
    container = held(
        tmp_path, "unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--mount-proc"
    )
    try:
        while len(container.processes()) < 2:
            time.sleep(0.05)
        told = subprocess.check_output(
            [*container.entered(), "sh", "-c", "id -un; cat /proc/1/comm"],
            text=True,
        )
        assert told.split() == ["root", "sh"]
    finally:
        container.first.communicate(b"end\n")


def test_a_process_of_the_machine_itself_is_no_node(tmp_path: Path) -> None:
    container = held(tmp_path)
    try:
        with pytest.raises(SocleError, match="still booting"):
            container.entered()
    finally:
        container.first.communicate(b"end\n")
