"""The module that waits for services, against real sockets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).parents[2] / "plugins/modules/ready.py"


def run(*checks: dict[str, Any], timeout: int = 2, check_mode: bool = False) -> dict[str, Any]:
    arguments = {"checks": list(checks), "timeout": timeout, "_ansible_check_mode": check_mode}
    done = subprocess.run(
        [sys.executable, str(MODULE)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.rpartition("/")[2]))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_all_kinds_pass(address: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "sock"))
        unix.listen()
        result = run(
            {"url": f"http://{address}/200"},
            {"url": f"http://{address}/302"},
            {"url": f"http://{address}/503", "status": [200, 503]},
            {"tcp": address},
            {"unix": str(tmp_path / "sock")},
            {"command": ["true"]},
        )
    assert result["waited"] < 1
    assert not result["changed"]


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ({"url": "http://ADDRESS/503"}, "HTTP status 503"),
        ({"url": "http://ADDRESS/302", "status": [200]}, "HTTP status 302"),
        ({"url": "https://ADDRESS/200"}, "SSL"),
        ({"tcp": f"127.0.0.1:{free_port()}"}, "refused"),
        ({"unix": "/nonexistent/sock"}, "No such file"),
        ({"command": ["sh", "-c", "echo because >&2; exit 4"]}, "status 4: because"),
    ],
)
def test_failure_names_the_check_and_its_last_reason(check: dict[str, Any], told: str, address: str) -> None:
    kind, what = next(iter(check.items()))
    check = {**check, "name": "the probe"}
    if kind == "url":
        check["url"] = what.replace("ADDRESS", address)
    result = run(check, {"tcp": address}, timeout=1)
    assert result["failed"]
    assert result["msg"].startswith("the probe (")
    assert told in result["msg"]
    assert result["msg"].count("\n") == 0, "the check that passed is not named"


def test_waits_for_what_comes_later(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    script = f"echo try >> {tries}; test $(wc -l < {tries}) -ge 3"
    result = run({"command": ["sh", "-c", script]}, timeout=20)
    assert "failed" not in result
    assert tries.read_text() == "try\n" * 3
    assert 0 < result["waited"] < 15


def test_check_mode_waits_for_nothing() -> None:
    assert "failed" not in run({"tcp": f"127.0.0.1:{free_port()}"}, check_mode=True)


def test_check_of_two_kinds_is_refused() -> None:
    assert "mutually exclusive" in run({"tcp": "127.0.0.1:1", "command": ["true"]})["msg"]
