"""The bundle module on this machine: lays what differs, wakes only what changed, and survives a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from socle.deploy import survey

PLUGINS = Path(__file__).parents[2] / "plugins"
SOURCES = {name: PLUGINS / "module_utils" / f"{name}.py" for name in ("node_survey", "dpkg")}


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run the module as Ansible does, with its record of owed handlers in a folder of the test."""
    for name, source in {**SOURCES, "bundle": PLUGINS / "modules/bundle.py"}.items():
        text = source.read_text().replace("/var/lib/socle/bundle", str(tmp_path / "owed"))
        for own in SOURCES:
            text = text.replace(f"ansible.module_utils.{own}", own)
        (tmp_path / f"{name}.py").write_text(text)
    module = tmp_path / "bundle.py"
    account = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    group = subprocess.run(["id", "-gn"], capture_output=True, text=True, check=True).stdout.strip()

    def execute(*files: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        entries = [{"owner": account, "group": group, **f} for f in files]
        modes = {"_ansible_check_mode": check, "_ansible_diff": True}
        arguments = {"name": "demo", "files": entries, **modes, **options}
        done = subprocess.run(
            [sys.executable, str(module)],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return execute


def test_only_the_changed_file_wakes_its_handler(run: Any, tmp_path: Path) -> None:
    first = {"path": str(tmp_path / "a"), "content": "1\n", "wakes": ["A"]}
    second = {"path": str(tmp_path / "b"), "content": "1\n", "wakes": ["B"]}
    assert run(first, second)["wakes"] == ["A", "B"]
    run(settled=True)
    result = run(first, {**second, "content": "2\n"})
    assert result["wakes"] == ["B"]
    assert result["changed_paths"] == [str(tmp_path / "b")]
    assert (tmp_path / "b").read_text() == "2\n"


def test_a_second_run_changes_nothing(run: Any, tmp_path: Path) -> None:
    entries = [
        {"path": str(tmp_path / "d"), "state": "directory", "mode": "0750"},
        {"path": str(tmp_path / "d/f"), "content": "x", "mode": "0600"},
        {"path": str(tmp_path / "l"), "state": "link", "target": "/dev/null"},
        {"path": str(tmp_path / "gone"), "state": "absent"},
    ]
    assert run(*entries)["changed"] is True
    run(settled=True)
    assert run(*entries)["changed"] is False


def test_what_a_killed_run_owed_is_woken_by_the_next(run: Any, tmp_path: Path) -> None:
    entry = {"path": str(tmp_path / "a"), "content": "1\n", "wakes": ["A"]}
    run(entry)
    again = run(entry)
    assert again["changed"] is True
    assert again["changed_paths"] == []
    assert again["wakes"] == ["A"]
    run(settled=True)
    assert run(entry)["wakes"] == []


def test_check_mode_writes_nothing(run: Any, tmp_path: Path) -> None:
    result = run({"path": str(tmp_path / "a"), "content": "1\n", "wakes": ["A"]}, check=True)
    assert result["changed"] is True
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "owed").exists()


def test_a_secret_is_in_no_output(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "s"
    for value in ("first-Value-91", "second-Value-92"):
        result = run({"path": str(path), "secret_content": value, "mode": "0600"})
        assert path.read_text() == value
        assert "Value-9" not in json.dumps(result)


def test_a_refused_file_leaves_the_old_one(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    result = run({"path": str(path), "content": "new", "validate": "grep -q old %s"})
    assert result["failed"] is True
    assert "refused by" in result["msg"]
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".socle-")] == []


def test_mode_and_type_are_repaired(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.symlink_to("/etc/passwd")
    run({"path": str(path), "content": "mine", "mode": "0640"})
    assert path.read_text() == "mine"
    assert not path.is_symlink()
    path.chmod(0o666)
    assert run({"path": str(path), "content": "mine", "mode": "0640"})["changed"] is True
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_unknown_account_is_named(run: Any, tmp_path: Path) -> None:
    result = run({"path": str(tmp_path / "a"), "content": "x", "owner": "nobody-of-this-name"})
    assert "account nobody-of-this-name does not exist" in result["msg"]
    assert not (tmp_path / "a").exists()


SYSTEMCTL = """#!/bin/sh
for unit in "$@"; do
  case $unit in
    on.service) printf 'ActiveState=active\\nUnitFileState=enabled\\nNeedDaemonReload=no\\n\\n' ;;
    stale.service) printf 'ActiveState=active\\nUnitFileState=enabled\\nNeedDaemonReload=yes\\n\\n' ;;
    off.service) printf 'ActiveState=inactive\\nUnitFileState=disabled\\nNeedDaemonReload=no\\n\\n' ;;
    failed.service) printf 'ActiveState=failed\\nUnitFileState=enabled\\nNeedDaemonReload=no\\n\\n' ;;
  esac
done
"""


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd with four units."""
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.mark.usefixtures("systemctl")
@pytest.mark.parametrize(
    ("started", "stopped", "runs"),
    [
        ([], [], True),
        (["on"], ["off"], True),
        (["on", "failed.service"], [], False),
        (["stale"], [], False),
        (["on", "unknown"], [], False),
        (["off"], [], False),
        ([], ["on"], False),
    ],
)
def test_units_are_left_alone_only_when_all_are_as_they_should_be(
    run: Any, tmp_path: Path, started: list[str], stopped: list[str], runs: bool
) -> None:
    file = {"path": str(tmp_path / "a"), "content": "1\n", "wakes": ["A"]}
    assert run(file, started=started, stopped=stopped)["runs"] is False
    # The handlers of the first run are still owed.
    assert run(file, started=started, stopped=stopped)["runs"] is False
    run(settled=True)
    assert run(file, started=started, stopped=stopped)["runs"] is runs


type Laid = tuple[list[dict[str, Any]], Any]


@pytest.fixture
def laid(run: Any, tmp_path: Path, systemctl: None) -> Laid:
    """Files that a bundle has laid, and the survey of what the node has now."""
    account, group = tmp_path.owner(), tmp_path.group()
    mine = {"owner": account, "group": group}
    files: list[dict[str, Any]] = [
        {"path": str(tmp_path / "d"), "state": "directory", "mode": "0750", **mine},
        {"path": str(tmp_path / "d/f"), "content": "x", "mode": "0600", **mine},
        {"path": str(tmp_path / "d/s"), "secret_content": "mellon", "mode": "0600", "secret": True, **mine},
        {"path": str(tmp_path / "kept"), "content": "first", "force": False, **mine},
        {"path": str(tmp_path / "l"), "state": "link", "target": "/dev/null"},
        {"path": str(tmp_path / "gone"), "state": "absent"},
    ]
    run(*files, started=["on"], stopped=["off"])
    run(settled=True)

    def look() -> dict[str, Any]:
        found: dict[str, Any] = run(name="other", survey=True)["survey"]
        return found

    return files, look


def test_a_survey_spares_a_bundle_that_stands_as_it_should(laid: Laid) -> None:
    files, look = laid
    found = look()
    assert survey.has_bundle(found, "demo", files, ["on"], ["off"])
    assert "mellon" not in json.dumps(found)
    assert not survey.has_bundle(found, "demo", files, ["on", "more"], ["off"])
    assert not survey.has_bundle(found, "demo", files, ["on"], [])
    assert not survey.has_bundle(found, "unknown", files, ["on"], ["off"])


@pytest.mark.parametrize(
    "wish",
    [
        {"content": "y"},
        {"mode": "0640"},
        {"owner": "nobody"},
        {"group": "nogroup"},
        {"path": "/elsewhere"},
        {"state": "absent"},
        {"secret_content": "x "},
    ],
    ids=str,
)
def test_another_wish_is_executed(laid: Laid, wish: dict[str, Any]) -> None:
    files, look = laid
    changed = [*files[:1], files[1] | wish, *files[2:]]
    assert not survey.has_bundle(look(), "demo", changed, ["on"], ["off"])


@pytest.mark.parametrize(
    "broken",
    [
        lambda d: (d / "d/f").write_text("edited"),
        lambda d: (d / "d/s").write_text("edited"),
        lambda d: (d / "d/f").chmod(0o640),
        lambda d: (d / "d").chmod(0o700),
        lambda d: (d / "gone").touch(),
        lambda d: (d / "kept").unlink(),
        lambda d: ((d / "l").unlink(), (d / "l").symlink_to("/dev/zero")),
        lambda d: (d / "owed/demo.json").write_text('["Handler"]'),
        lambda d: (d / "owed/demo.record").write_text("{"),
        lambda d: (d / "bin/systemctl").write_text("#!/bin/sh\nexit 1\n"),
        lambda d: (d / "bin/systemctl").write_text(SYSTEMCTL.replace("=inactive", "=active")),
        lambda d: (d / "bin/systemctl").write_text(SYSTEMCTL.replace("=active", "=failed")),
    ],
)
def test_whatever_differs_on_the_node_is_executed(laid: Laid, tmp_path: Path, broken: Any) -> None:
    files, look = laid
    assert survey.has_bundle(look(), "demo", files, ["on"], ["off"])
    broken(tmp_path)
    assert not survey.has_bundle(look(), "demo", files, ["on"], ["off"])


def test_what_is_kept_whatever_its_content_may_be_edited(laid: Laid, tmp_path: Path) -> None:
    files, look = laid
    (tmp_path / "kept").write_text("edited")
    assert survey.has_bundle(look(), "demo", files, ["on"], ["off"])


def test_packages_are_known_as_well(laid: Laid) -> None:
    found = laid[1]()
    assert survey.has_packages(found, ["dpkg", "libc6"])
    assert not survey.has_packages(found, ["dpkg", "no-such-package"])
    found["packages"]["settled"] = False
    assert not survey.has_packages(found, ["dpkg"])


def test_a_survey_is_forgotten_when_something_changed_or_time_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey.keep("ctl1", {"bundles": {}})
    assert survey.known("ctl1") is None
    with survey.removed_after(tmp_path):
        monkeypatch.setenv(survey.VARIABLE, str(survey.folder_in(tmp_path)))
        assert survey.known("ctl1") is None
        survey.keep("ctl1", {"bundles": {}})
        assert survey.known("ctl1") == {"bundles": {}}
        survey.forget("ctl1")
        assert survey.known("ctl1") is None
        survey.keep("ctl1", {"bundles": {}})
        long_ago = survey.folder_in(tmp_path) / "ctl1.json"
        os.utime(long_ago, (1, 1))
        assert survey.known("ctl1") is None
    assert list(tmp_path.iterdir()) == []
