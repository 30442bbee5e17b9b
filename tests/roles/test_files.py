"""Files of every role on every node: owner and mode as described, and secrets nowhere but in their files."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from socle import openbao
from socle.deploy.described import LaidFile, Role, SiteVariables
from tests.roles.lab import CATALOGUE, SITE, components_of, each_component, each_node, feed, output

KINDS = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "directory",
    "symbolic link": "link",
}
IDENTIFIERS = {"uuid"}
"""Kinds of secrets that open nothing."""
LOGS_STORE = "/var/log/socle/"
SEARCHED = "/etc /root /home /run /srv /tmp /usr/local /var/backups /var/lib/socle /var/log /var/tmp"
# The patterns come by standard input; `printf` of bash makes no process.
# The journal is compressed and searched by itself; what ip-netns mounts is no file.
IN_FILES = (
    "grep --recursive --files-with-matches --text --fixed-strings --devices=skip --no-messages "
    f"--exclude-dir=journal --exclude-dir=netns --file=- {SEARCHED}"
)
IN_JOURNAL = (
    "patterns=$(cat); "
    'journalctl --quiet --no-pager --output=cat | grep --text --fixed-strings --file=<(printf %s "$patterns")'
)
IN_ARGUMENTS = (
    "patterns=$(cat); "
    'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n" | '
    'grep --text --fixed-strings --file=<(printf %s "$patterns")'
)


@cache
def variables() -> SiteVariables:
    """The lab's hosts with their variables."""
    return SiteVariables(SITE.name)


@cache
def laid(node: str, component: str) -> tuple[LaidFile, ...]:
    """What a role lays on a node."""
    return tuple(variables().laid(node, Role(component)))


def service_secrets() -> Iterator[str]:
    """Every secret of every component, but identifiers."""
    for name, component in CATALOGUE.components.items():
        wanted = [key for key, kind in component.secrets.items() if kind not in IDENTIFIERS]
        if wanted:
            answer: Any = openbao.read(f"kv/data/services/{name}")
            yield from (answer["data"]["data"][key] for key in wanted)


@pytest.fixture(scope="module")
def patterns() -> str:
    """All secrets, one a line, as grep takes them."""
    found = list(service_secrets())
    assert len(found) > len(CATALOGUE.components)
    assert all(len(value) >= 16 for value in found)
    return "\n".join(found)


@each_component
def test_files_are_as_the_role_describes_them(node: str, component: str) -> None:
    files = {file.path: file for file in laid(node, component)}
    assert files or component not in {role for role in CATALOGUE.components if CATALOGUE[role].secrets}
    quoted = " ".join(shlex.quote(path) for path in files)
    shown = output(node, f"stat --printf='%n\\t%F\\t%U\\t%G\\t%04a\\n' -- {quoted} 2>/dev/null; true")
    found = {line.split("\t")[0]: line.split("\t")[1:] for line in shown.splitlines()}
    for path, file in files.items():
        if file.state == "absent":
            assert path not in found
            continue
        assert path in found, f"{path} is not there"
        kind, *rest = found[path]
        assert KINDS[kind] == file.state, path
        if file.state != "link":
            assert rest == [file.owner, file.group, file.mode], path


@each_component
def test_secret_files_are_not_for_the_world(node: str, component: str) -> None:
    assert not [file.path for file in laid(node, component) if file.secret and file.for_the_world]


@each_node
def test_secrets_are_in_their_files_only(node: str, patterns: str) -> None:
    known = {file.path for name in components_of(node) for file in laid(node, name) if file.secret}
    found = set(feed(node, IN_FILES, patterns).splitlines())
    assert not found - known
    if "controllers" in SITE.hosts[node].groups:
        assert found, "the search finds nothing at all"


@each_node
@pytest.mark.parametrize("script", [IN_JOURNAL, IN_ARGUMENTS], ids=["journal", "arguments"])
def test_secrets_are_in_no_log_and_no_argument(node: str, script: str, patterns: str) -> None:
    lines = feed(node, script, patterns).splitlines()
    hidden = [
        line.replace(secret, "•••") for line in lines for secret in patterns.split("\n") if secret in line
    ]
    assert not hidden[:5]


@each_node
def test_a_secret_elsewhere_would_be_found(node: str) -> None:
    word = secrets.token_hex(16)
    output(node, f"echo {word} > /run/socle-canary; systemd-cat echo {word}; journalctl --sync")
    try:
        found = feed(node, IN_FILES, word).splitlines()
        # What a journal has is in the central logs as well, on the node that keeps them.
        assert [path for path in found if not path.startswith(LOGS_STORE)] == ["/run/socle-canary"]
        assert word in feed(node, IN_JOURNAL, word)
    finally:
        output(node, "rm /run/socle-canary")
