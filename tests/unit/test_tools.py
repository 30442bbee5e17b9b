"""The builder of the Go binaries, without Go: a script that plays ``go`` and a recipe of two files."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from socle.errors import ExitCode, SocleError
from socle.tools import builder, go, progress
from socle.tools.failures import explain
from socle.tools.override import BinaryOverride, resolve
from socle.tools.recipe import Recipe, recipes

FAKE_GO = """#!/bin/sh
case "$1" in
  env) printf '%s\\n' '{version}' '{toolchain}' ;;
  build)
    while [ "$1" != -o ]; do shift; done
    mkdir -p "$(dirname "$2")"
    {build}
    printf 'made by %s, cgo %s' "$GOTOOLCHAIN" "$CGO_ENABLED" > "$2" ;;
esac
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOCLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(go, "ELSEWHERE", ())
    return tmp_path / "cache" / "bin"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A folder like those of ``tools/``."""
    folder = tmp_path / "tools" / "hello"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module hello\n\ngo 1.25.11\n\ntoolchain go1.26.8\n")
    (folder / "build.toml").write_text('[hello]\nversion = "1.0"\npackage = "."\nldflags = "-s"\n')
    return folder


@pytest.fixture
def hello(module: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    found = recipes(module.parent)["hello"]
    monkeypatch.setattr(builder, "recipe", {"hello": found}.__getitem__)
    return found


def install_go(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str = "go1.26.8",
    toolchain: str = "auto",
    build: str = ":",
) -> Path:
    """Put a script that plays Go first on PATH."""
    script = folder / "bin" / "go"
    script.parent.mkdir()
    script.write_text(FAKE_GO.format(version=version, toolchain=toolchain, build=build))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return script


class TestKey:
    def test_is_stable(self, module: Path) -> None:
        assert recipes(module.parent)["hello"].key() == recipes(module.parent)["hello"].key()

    def test_does_not_depend_on_where_the_folder_is(self, module: Path, tmp_path: Path) -> None:
        before = recipes(module.parent)["hello"].key()
        module.parent.rename(tmp_path / "elsewhere")
        assert recipes(tmp_path / "elsewhere")["hello"].key() == before

    @pytest.mark.parametrize(
        ("file", "content"),
        [
            ("main.go", "package main\n"),
            ("go.sum", "example.org v1.0.0 h1:x\n"),
            ("go.mod", "module hello\n\ngo 1.25.11\n\ntoolchain go1.26.9\n"),
            ("build.toml", '[hello]\nversion = "1.0"\npackage = "."\nldflags = "-s -w"\n'),
        ],
    )
    def test_changes_with_content(self, module: Path, file: str, content: str) -> None:
        before = recipes(module.parent)["hello"].key()
        (module / file).write_text(content)
        assert recipes(module.parent)["hello"].key() != before

    def test_ignores_what_an_editor_leaves(self, module: Path) -> None:
        before = recipes(module.parent)["hello"].key()
        (module / ".main.go.swp").write_text("x")
        assert recipes(module.parent)["hello"].key() == before

    def test_two_binaries_of_one_folder_differ(self, module: Path) -> None:
        table = 'version = "1.0"\npackage = "."\n'
        (module / "build.toml").write_text(f"[one]\n{table}[two]\n{table}")
        both = recipes(module.parent)
        assert both["one"].key() != both["two"].key()


class TestGo:
    def test_missing(self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(SocleError, match=r"^Go is missing; expected go on PATH.*; install it") as error:
            builder.build(["hello"])
        assert error.value.exit_code == ExitCode.PREREQUISITE
        assert "\n" not in str(error.value)

    def test_too_old_and_local(self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        install_go(tmp_path, monkeypatch, version="go1.24.4", toolchain="local")
        with pytest.raises(SocleError, match=r"Go 1\.24\.4 is too old \(GOTOOLCHAIN=local\)") as error:
            builder.build(["hello"])
        assert "expected Go ≥ 1.25.11; allow it to fetch a newer one" in str(error.value)
        assert error.value.exit_code == ExitCode.PREREQUISITE

    def test_too_old_to_fetch_another(
        self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        install_go(tmp_path, monkeypatch, version="go1.19.8", toolchain="")
        with pytest.raises(SocleError, match=r"Go 1\.19\.8 is too old .*expected Go ≥ 1\.21, which fetches"):
            builder.build(["hello"])

    @pytest.mark.parametrize(
        ("version", "toolchain", "used"),
        [
            ("1.24.4", "auto", "go1.26.8"),
            ("1.27.0", "auto", "go1.26.8"),
            ("1.25.11", "local", "local"),
            ("1.26rc1", "local", "local"),
        ],
    )
    def test_builds_with_the_version_wanted(
        self, hello: Recipe, version: str, toolchain: str, used: str
    ) -> None:
        assert go.Go(Path("go"), version, toolchain).toolchain_for(hello) == used

    def test_that_does_not_run(self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        install_go(tmp_path, monkeypatch, version="segmentation fault")
        with pytest.raises(SocleError, match="Go does not run"):
            builder.build(["hello"])

    def test_cgo_needs_a_compiler(
        self, module: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (module / "build.toml").write_text('[hello]\nversion = "1"\npackage = "."\ncgo = true\n')
        install_go(tmp_path, monkeypatch)
        monkeypatch.setenv("CC", "no-such-compiler")
        with pytest.raises(SocleError, match="no C compiler for hello"):
            go.build_environment(go.find_go(), recipes(module.parent)["hello"])


class TestBuild:
    def test_once(self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        script = install_go(tmp_path, monkeypatch)
        first = builder.binary("hello")
        script.unlink()
        assert builder.binary("hello") == first
        assert os.access(first, os.X_OK)

    def test_again_when_the_cached_file_is_cut(
        self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        install_go(tmp_path, monkeypatch)
        first = builder.binary("hello")
        content = first.read_text()
        first.write_text("")
        assert builder.binary("hello").read_text() == content

    def test_reports_the_last_duration(
        self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: Path, cache: Path
    ) -> None:
        install_go(tmp_path, monkeypatch)
        cache.mkdir(parents=True)
        progress.remember_duration(cache, "hello", 218.4)
        reports: list[str] = []
        builder.binary("hello", lambda report: reports.append(str(report)))
        assert reports == ["hello is being built: 0 s (last time 3 min 38 s)", "hello is built: 0 s"]

    def test_failure_leaves_nothing(
        self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
    ) -> None:
        failing = "echo 'write /x: no space left on device' >&2; exit 1"
        install_go(tmp_path, monkeypatch, build=failing)
        with pytest.raises(SocleError, match=r"^tools/hello: hello was not built, the disk is full"):
            builder.binary("hello")
        assert [file.name for file in cache.iterdir()] == [".lock"]

    def test_leftover_of_a_killed_build_is_harmless(
        self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
    ) -> None:
        leftover = cache / ".building-dead"
        leftover.mkdir(parents=True)
        (leftover / "hello").write_text("half a binary")
        (cache / hello.key() / "bin").mkdir(parents=True)
        (cache / hello.key() / "bin" / "hello").write_text("half a binary")
        install_go(tmp_path, monkeypatch)
        assert builder.binary("hello").read_text() == "made by go1.26.8, cgo 0"
        assert not leftover.exists()

    def test_waits_for_another_build(
        self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
    ) -> None:
        install_go(tmp_path, monkeypatch)
        cache.mkdir(parents=True)
        reports: list[str] = []
        with (cache / ".lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            thread = threading.Thread(
                target=builder.binary, args=("hello", lambda report: reports.append(str(report)))
            )
            thread.start()
            deadline = time.monotonic() + 10
            while not reports and time.monotonic() < deadline:
                time.sleep(0.05)
            assert reports == ["hello waits for another build: 0 s"]
            assert not list(cache.glob("*/bin/hello"))
        thread.join(10)
        assert len(list(cache.glob("*/bin/hello"))) == 1

    def test_kill_ends_go_and_the_next_run_finishes(
        self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
    ) -> None:
        pid_file = tmp_path / "pid"
        script = install_go(tmp_path, monkeypatch, build=f"echo $$ > {pid_file}; exec sleep 60")
        program = (
            "import sys; from pathlib import Path; from socle.tools import builder, recipe;"
            f"found = recipe.recipes(Path({str(hello.folder.parent)!r}))['hello'];"
            "builder.recipe = lambda name: found; builder.binary('hello')"
        )
        killed = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": "src"})
        deadline = time.monotonic() + 20
        while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        while _alive(int(pid_file.read_text())) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _alive(int(pid_file.read_text()))
        script.write_text(FAKE_GO.format(version="go1.26.8", toolchain="auto", build=":"))
        assert builder.binary("hello").is_file()
        assert not list(cache.glob(".building-*"))


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


class TestFailures:
    @pytest.mark.parametrize(
        ("messages", "words"),
        [
            ("go: x@v1: Get https://proxy: dial tcp: lookup proxy: no such host", "proxy does not answer"),
            ("verifying x@v1: checksum mismatch\nSECURITY ERROR", "not what go.sum says"),
            ("compile: signal: killed", "ran out of memory"),
            ("go: download go1.26.8 for linux/amd64: toolchain not available", "cannot be fetched"),
            ("main.go:3:1: syntax error", "ended with status 1 (main.go:3:1: syntax error)"),
            ("", "Go said nothing"),
        ],
    )
    def test_one_line_says_what_to_do(self, hello: Recipe, messages: str, words: str) -> None:
        error = explain(hello, 1, messages)
        assert words in str(error)
        assert "\n" not in str(error)


class TestOverride:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Path:
        file = tmp_path / "bao"
        file.write_text("a site's own")
        file.chmod(0o755)
        return file

    def test_right_hash(self, own: Path) -> None:
        assert resolve("bao", BinaryOverride(own, builder.sha256(own).upper())) == own

    def test_wrong_hash(self, own: Path) -> None:
        found = builder.sha256(own)
        with pytest.raises(SocleError) as error:
            resolve("bao", BinaryOverride(own, "0" * 64))
        assert str(error.value) == (
            f"{own}: the binary of bao has SHA-256 {found}; expected {'0' * 64}; "
            f"restore the file or, if it was changed on purpose, write sha256: {found}"
        )
        assert error.value.exit_code == ExitCode.INVALID_SITE

    def test_absent(self, tmp_path: Path) -> None:
        with pytest.raises(SocleError, match="the binary of bao is absent"):
            resolve("bao", BinaryOverride(tmp_path / "none", "0" * 64))

    def test_not_executable(self, own: Path) -> None:
        own.chmod(0o644)
        with pytest.raises(SocleError, match=r"chmod 755"):
            resolve("bao", BinaryOverride(own, builder.sha256(own)))

    def test_none_uses_the_kits(self, hello: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        install_go(tmp_path, monkeypatch)
        assert resolve("hello", None).read_text() == "made by go1.26.8, cgo 0"


def test_shipped_recipes() -> None:
    shipped = recipes()
    assert set(shipped) == {"bao", "bao-hsm", "pulumi", "pulumi-resource-openstack"}
    for item in shipped.values():
        assert "-trimpath" in item.flags()
        assert (item.folder / "go.sum").is_file()
        assert item.go_versions()[1] == "1.26.8"


def test_unknown_name() -> None:
    with pytest.raises(SocleError, match="no recipe for vault; expected one of bao"):
        builder.binary("vault")
