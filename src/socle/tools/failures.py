"""Turns what ``go build`` says when it fails into one line that tells what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from socle.errors import ExitCode, SocleError
from socle.tools.recipe import Recipe


@dataclass(frozen=True)
class _Cause:
    """A kind of failure, known by its words."""

    words: str
    what: str
    expected: str
    write: str
    exit_code: ExitCode = ExitCode.FAILED


CAUSES = (
    _Cause(
        r"no space left on device",
        "the disk is full",
        "about 10 GB for Go's caches and the binaries",
        "free room, or move the caches (go env -w GOCACHE=… GOMODCACHE=…)",
    ),
    _Cause(
        r"checksum mismatch|SECURITY ERROR",
        "a module is not what go.sum says",
        "the module as it was when it was pinned",
        "do not go on: see who serves the modules (go env GOPROXY)",
    ),
    _Cause(
        r"dial tcp|no such host|i/o timeout|TLS handshake|connection re(set|fused)|: 50\d |Forbidden",
        "the Go module proxy does not answer",
        "a reachable proxy",
        "set it (go env -w GOPROXY=https://…) and run again; what was fetched is kept",
        ExitCode.UNREACHABLE,
    ),
    _Cause(
        r"toolchain not available|download go\d",
        "the Go that the modules ask for cannot be fetched",
        "the module golang.org/toolchain on the proxy",
        "install that Go and set GOTOOLCHAIN=local",
        ExitCode.PREREQUISITE,
    ),
    _Cause(
        r"signal: killed|cannot allocate memory",
        "the compiler ran out of memory",
        "4 GiB of free memory",
        "free memory and run again; what was compiled is kept",
    ),
)


def explain(item: Recipe, status: int, messages: str) -> SocleError:
    """The error of a failed build.

    Args:
        item: what was being built.
        status: exit status of Go, negative for a signal.
        messages: all that Go wrote.
    """
    where = f"tools/{item.folder.name}"
    last = _last_line(messages)
    for cause in CAUSES:
        if re.search(cause.words, messages):
            return SocleError(
                f"{item.name} was not built, {cause.what} ({last})",
                where=where,
                expected=cause.expected,
                write=cause.write,
                exit_code=cause.exit_code,
            )
    return SocleError(f"{item.name} was not built, go build ended with status {status} ({last})", where=where)


def _last_line(messages: str) -> str:
    """The last line that is not the news of a download, shortened."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("go: downloading")]
    return (telling or lines or ["Go said nothing"])[-1][:300]
