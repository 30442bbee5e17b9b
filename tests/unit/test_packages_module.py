"""The packages module on this machine: what it tells as missing, by what dpkg answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture
def told(tmp_path: Path) -> Any:
    """What the module tells in check mode, where it installs nothing."""
    for source in ("modules/packages.py", "module_utils/dpkg.py"):
        text = (PLUGINS / source).read_text().replace("ansible.module_utils.dpkg", "dpkg")
        (tmp_path / Path(source).name).write_text(text)

    def execute(*names: str) -> dict[str, Any]:
        arguments = {"names": names, "_ansible_check_mode": True}
        done = subprocess.run(
            [sys.executable, str(tmp_path / "packages.py")],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return execute


def test_what_is_missing_is_named(told: Any) -> None:
    assert told("dpkg")["installed"] == []
    assert told("dpkg", "no-such-package")["installed"] == ["no-such-package"]
