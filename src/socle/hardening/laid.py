"""The files by which a host's rules hold, as entries of a role's bundle, and the report beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from socle.audit import program
from socle.hardening.checks import checks
from socle.hardening.host import Applied, HostTraits
from socle.hardening.rules import Rule
from socle.site.entrance import AUDIT_ACCOUNT, AUDIT_COMMAND

REPORT = "/etc/socle/hardening.json"
HEAD = "# Laid by the role `hardening`: a change here is undone.\n"
WAKES = {
    "sysctl": "Kernel parameters are set",
    "command_line": "Options of the next start are written",
    "mounts": "Mount options are set",
    "permissions": "Permissions are set",
    "services": "Unwanted units are stopped",
}
BY_FILE = {
    "/etc/ssh/": ("SSH tries its settings", "The next session is a new one", "SSH keeps its settings"),
    "/etc/audit/": ("Audit rules are loaded",),
    "/etc/systemd/logind.conf.d/": ("Login service takes its settings",),
    "/etc/systemd/system/socle-aide": ("Seals are looked at",),
}


def files(applied: Applied, host: HostTraits) -> list[dict[str, Any]]:
    """Entries of ``bundle`` for a host, in the order of the themes."""
    whole: dict[str, list[Rule]] = {}
    for rule in applied.rules:
        if rule.file:
            whole.setdefault(rule.file, []).append(rule)
    return [
        *_authority(host),
        *(_file(path, rules) for path, rules in whole.items()),
        *(_masked(unit) for rule in applied.rules if rule.kind == "services" for unit in rule.settings),
        *program.files([check.command for check in checks(applied)]),
        _audit_sessions(),
        {"path": REPORT, "content": report(applied), "mode": "0640"},
    ]


def report(applied: Applied) -> str:
    """What holds, what is not evaluated here and why, and what is done otherwise and why, as JSON."""
    held = [
        {"rules": r.rules, "level": r.level, "theme": r.theme, "why": r.why, "set": r.set}
        for r in applied.rules
    ]
    facts = {
        "guide": "ANSSI-BP-028 v2, enhanced",
        "held": held,
        "not_evaluated": [asdict(item) for item in applied.not_evaluated],
        "deviations": [asdict(item) for item in applied.deviations],
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _authority(host: HostTraits) -> list[dict[str, Any]]:
    if not host.user_authority:
        return []
    path = "/etc/ssh/socle_user_authority.pub"
    return [{"path": path, "content": f"{host.user_authority}\n", "wakes": _wakes("settings", path)}]


def _audit_sessions() -> dict[str, Any]:
    """SSH holds the audit's account to its program, whatever its certificate and its client say."""
    path = "/etc/ssh/sshd_config.d/90-socle-audit.conf"
    settings = {
        "ForceCommand": AUDIT_COMMAND,
        "PermitTTY": "no",
        "PermitUserRC": "no",
        "DisableForwarding": "yes",
    }
    lines = "".join(f"  {name} {value}\n" for name, value in settings.items())
    return {
        "path": path,
        "content": f"{HEAD}Match User {AUDIT_ACCOUNT}\n{lines}",
        "validate": "/usr/sbin/sshd -t -f %s",
        "wakes": _wakes("settings", path),
    }


def _file(path: str, rules: Sequence[Rule]) -> dict[str, Any]:
    first = rules[0]
    entry: dict[str, Any] = {"path": path, "content": HEAD + content(rules), "mode": first.mode}
    woken = _wakes(first.kind, path)
    if woken:
        entry["wakes"] = woken
    if first.validator:
        entry["validate"] = first.validator
    return entry


def _wakes(kind: str, path: str) -> list[str]:
    by_file = (handlers for start, handlers in BY_FILE.items() if path.startswith(start))
    return [WAKES[kind]] if kind in WAKES else list(next(by_file, ()))


def _masked(unit: str) -> dict[str, Any]:
    path = f"/etc/systemd/system/{unit}"
    return {"path": path, "state": "link", "target": "/dev/null", "wakes": [WAKES["services"]]}


def content(rules: Sequence[Rule]) -> str:
    """The text of a file that holds these rules."""
    settings = {name: value for rule in rules for name, value in rule.settings.items()}
    match rules[0].kind:
        case "sysctl":
            return "".join(f"{name} = {value}\n" for name, value in settings.items())
        case "modules":
            return "".join(f"blacklist {name}\ninstall {name} /bin/false\n" for name in settings)
        case "command_line":
            words = " ".join(f"{name}={value}" for name, value in settings.items())
            return f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {words}"\n'
        case "mounts":
            return _mount_unit(settings)
        case "permissions":
            return "".join(f"z {path} {rights}\n" for path, rights in settings.items())
        case _:
            return _settings(rules[0])


def _settings(rule: Rule) -> str:
    form = rule.form or "lines"
    if form in {"lines", "audit"}:
        return "".join(f"{line}\n" for line in rule.lines)
    if form.startswith("["):
        return f"{form}\n" + "".join(f"{name}={value}\n" for name, value in rule.settings.items())
    glue = " = " if form == "=" else " "
    return "".join(
        f"{name}{glue}{value}\n" if value else f"{name}\n" for name, value in rule.settings.items()
    )


def _mount_unit(options: dict[str, str]) -> str:
    steps = [
        f"ExecStart=/bin/sh -c 'test ! -d {path} || mountpoint -q {path} || mount --bind {path} {path}'\n"
        f"ExecStart=/bin/sh -c 'test ! -d {path} || mount -o remount,bind,{flags} {path}'\n"
        for path, flags in options.items()
    ]
    return (
        "[Unit]\nDescription=Options of mounts\nDefaultDependencies=no\n"
        "After=local-fs.target tmp.mount\nBefore=sysinit.target systemd-tmpfiles-setup.service\n"
        "RequiresMountsFor=" + " ".join(options) + "\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n" + "".join(steps) + "\n"
        "[Install]\nWantedBy=sysinit.target\n"
    )
