"""How each rule is read on a host and judged: one command for each, then functions of the text it prints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from socle.hardening.host import Applied
from socle.hardening.problems import ENGLISH, Phrases, Problem
from socle.hardening.rules import Rule


@dataclass(frozen=True)
class Check:
    """One rule on one host."""

    rule: Rule
    command: str

    @property
    def name(self) -> str:
        """For a test's report."""
        place = self.rule.file or self.rule.kind
        return f"{self.rule.theme}-{'+'.join(self.rule.rules)}-{place.rsplit('/', 1)[-1]}"

    def judge(self, text: str, phrases: Phrases = ENGLISH) -> list[str]:
        """What is wrong by what the command printed, a sentence each; nothing when the rule holds."""
        judged = JUDGES.get(_manner(self.rule), _ini)(self.rule, text)
        return [problem.told(phrases) for problem in judged]


def checks(applied: Applied) -> list[Check]:
    """All checks of a host."""
    return [Check(rule, command(rule)) for rule in applied.rules]


def command(rule: Rule) -> str:
    """What a root shell on the host runs to see what the rule is about."""
    names = " ".join(shlex.quote(name) for name in rule.settings)
    return COMMANDS.get(_manner(rule), "cat {file}").format(names=names, file=rule.file)


def _manner(rule: Rule) -> str:
    """The kind of a rule, or the form of its file."""
    return (rule.form or "lines") if rule.kind == "settings" else rule.kind


def _sysctl(rule: Rule, text: str) -> Iterable[Problem]:
    return _compare(rule.settings, {k: " ".join(v.split()) for k, v in _pairs(text, "=")})


def _command_line(rule: Rule, text: str) -> Iterable[Problem]:
    return _compare(rule.settings, dict(word.partition("=")[::2] for word in text.split()))


def _ini(rule: Rule, text: str) -> Iterable[Problem]:
    return _compare(rule.settings, dict(_pairs(text, "=")))


def _blank(rule: Rule, text: str) -> Iterable[Problem]:
    return _compare(rule.settings, dict(_pairs(text, " ")))


def _compare(wanted: dict[str, str], found: dict[str, str]) -> list[Problem]:
    return [
        Problem("differs", name, found.get(name), value)
        for name, value in wanted.items()
        if found.get(name) != value
    ]


def _pairs(text: str, glue: str) -> Iterator[tuple[str, str]]:
    """Names and values of a file of settings; the last one of a name wins."""
    for line in _kept(text):
        name, _glue, value = line.partition(glue) if glue != " " else _split(line)
        yield name.strip(), value.strip()


def _split(line: str) -> tuple[str, str, str]:
    name, *rest = line.split(None, 1)
    return name, " ", rest[0] if rest else ""


def _kept(text: str) -> list[str]:
    """Lines that say something, with single blanks."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _modules(rule: Rule, text: str) -> Iterator[Problem]:
    lines = {line.replace("-", "_") for line in _kept(text)}
    loaded = {line.split()[0] for line in lines}
    for name in (module.replace("-", "_") for module in rule.settings):
        if f"install {name} /bin/false" not in lines:
            yield Problem("loadable", name)
        if name in loaded:
            yield Problem("loaded", name)


def _mounts(rule: Rule, text: str) -> Iterator[Problem]:
    found = {target: set(options.split(",")) for target, _blank, options in map(_split, _kept(text))}
    for path, options in rule.settings.items():
        missing = set(options.split(",")) - found.get(path, set())
        if missing:
            yield Problem("mounted", path, wanted=", ".join(sorted(missing)))


def _permissions(rule: Rule, text: str) -> Iterator[Problem]:
    for line in _kept(text):
        path, rights = line.split(" ", 1)
        if rule.settings.get(path) != rights:
            yield Problem("differs", path, rights, rule.settings.get(path))


def _services(rule: Rule, text: str) -> Iterator[Problem]:
    blocks = [dict(_pairs(block, "=")) for block in text.strip().split("\n\n")]
    if len(blocks) != len(rule.settings):
        yield Problem("units", found=str(len(blocks)), wanted=str(len(rule.settings)))
        return
    for unit, state in zip(rule.settings, blocks, strict=True):
        states = [state.get("LoadState", ""), state.get("ActiveState", "")]
        if states[0] != "masked" or states[1] not in {"inactive", "failed"}:
            yield Problem("unit", unit, ", ".join(states), "masked")


def _apparmor(rule: Rule, text: str) -> Iterator[Problem]:
    lines = _kept(text)
    if not any(line.endswith("(enforce)") for line in lines):
        yield Problem("unconfined")
    for line in lines:
        name, _blank, state = line.rpartition(" ")
        if state == "(complain)" and not any(fnmatch(name, known) for known in rule.settings):
            yield Problem("complains", name)


def _special_rights(rule: Rule, text: str) -> Iterator[Problem]:
    """Both rules read the same text: programs with special rights, and files of nobody (not below /usr)."""
    names = "nobody's files" in rule.settings
    for path in _kept(text):
        is_program = path.startswith("/usr/")
        if names and not is_program:
            yield Problem("nobody's", path)
        if not names and is_program and path not in rule.settings:
            yield Problem("privileged", path)


def _sshd(rule: Rule, text: str) -> Iterator[Problem]:
    found: dict[str, list[str]] = {}
    for line in _kept(text):
        name, _blank, value = _split(line)
        found.setdefault(name.lower(), []).append(value)
    for name, value in rule.settings.items():
        there = found.get(name.lower(), [])
        told = " ".join(there) if name == "AllowUsers" else ",".join(there)
        if told.lower() != value.lower():
            yield Problem("differs", name, told or None, value)


def _audit(rule: Rule, text: str) -> Iterator[Problem]:
    loaded = {_audit_rule(line) for line in _kept(text)}
    for line in rule.lines:
        if _audit_rule(line) not in loaded:
            yield Problem("not loaded", line)


def _audit_rule(line: str) -> frozenset[str]:
    """A rule without the order in which auditctl prints its parts; a watch in its newer form as well."""
    watch = re.fullmatch(r"-w (\S+) -p (\w+) -k (\S+)", line)
    if watch:
        return frozenset({f"path={watch[1].replace('/var/run', '/run')}", *watch[2], f"key={watch[3]}"})
    parts: Iterable[str] = re.findall(r"-[aSFk] (\S+)", line)
    return frozenset(piece for part in parts for piece in (part.split(",")))


def _lines(rule: Rule, text: str) -> Iterator[Problem]:
    wanted, found = [" ".join(line.split()) for line in rule.lines], _kept(text)
    yield from (Problem("missing", line) for line in wanted if line not in found)
    yield from (Problem("unexpected", line) for line in found if line not in wanted)
    if sorted(wanted) == sorted(found) and wanted != found:
        yield Problem("order")


SPECIAL_RIGHTS = (
    "find / -xdev '(' -type f -perm /6000"
    " -o $(getent passwd | cut -d: -f3 | sed 's/^/! -uid /') -nouser"
    " -o $(getent group | cut -d: -f3 | sed 's/^/! -gid /') -nogroup ')' -print"
)
"""One walk. ``find`` asks for the name of the owner of each file, which takes most of the time: it asks only
where the owner's number is none of those that are listed, most often none at all.
"""


def special_rights_without(folders: Iterable[str]) -> str:
    """The same walk past folders, such as the roots of other machines, whose accounts are not those here."""
    past = "".join(f"-path {shlex.quote(folder)} -prune -o " for folder in folders)
    return SPECIAL_RIGHTS.replace("-xdev ", f"-xdev {past}", 1)


COMMANDS = {
    "sysctl": "sysctl {names}",
    "modules": "modprobe --showconfig; cat /proc/modules",
    "command_line": "cat /proc/cmdline",
    "mounts": "findmnt --noheadings --raw --output TARGET,OPTIONS",
    "permissions": 'for p in {names}; do [ ! -e "$p" ] || stat --format "%n %04a %U %G" "$p"; done',
    "services": "systemctl show --property=LoadState,ActiveState {names}",
    "apparmor": "cat /sys/kernel/security/apparmor/profiles",
    "special_rights": SPECIAL_RIGHTS,
    "sshd": "sshd -T",
    "audit": "auditctl -l",
}
JUDGES: dict[str, Callable[[Rule, str], Iterable[Problem]]] = {
    "sysctl": _sysctl,
    "modules": _modules,
    "command_line": _command_line,
    "mounts": _mounts,
    "permissions": _permissions,
    "services": _services,
    "apparmor": _apparmor,
    "special_rights": _special_rights,
    "sshd": _sshd,
    "audit": _audit,
    "lines": _lines,
    " ": _blank,
}
