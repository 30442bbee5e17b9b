"""Logs on their host: the journal, its sending, and on the store what came and how it is kept."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from socle.audit.collect.agent import Questions, Unread, output, section, text

JOURNAL = Path("/var/log/journal")
CURSOR = Path("/var/lib/systemd/journal-upload/state")
SANDBOX = (
    "User", "ActiveState", "NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet", "PrivateTmp",
    "ProtectHome", "PrivateDevices", "RestrictSUIDSGID", "MemoryDenyWriteExecute", "DynamicUser",
)  # fmt: skip
STORE_PROGRAM = "/usr/local/sbin/socle-logs"
MICRO = 1_000_000


@section("journal")
def journal(_questions: Questions) -> dict[str, Any]:
    """The journal's settings, size and age, who may read it, and a sample of its entries' times."""
    newest = _entry()
    oldest = _entry("--boot=all", "--lines=+1")
    files = [path for path in JOURNAL.glob("*/*.journal*") if path.is_file()]
    used = sum(path.stat().st_size for path in files)
    days = (int(newest["__REALTIME_TIMESTAMP"]) - int(oldest["__REALTIME_TIMESTAMP"])) / MICRO / 86400
    space = os.statvfs(JOURNAL)
    return {
        "settings": config("systemd/journald.conf"),
        "persistent": bool(files),
        "used_mib": used >> 20,
        "free_mib": space.f_bavail * space.f_frsize >> 20,
        "days": round(days, 2),
        "own_file_system": Path("/").stat().st_dev != JOURNAL.stat().st_dev,
        "readable_by_all": any(path.stat().st_mode & 0o007 for path in files),
        "readers": _readers(),
        "timestamped": {"__REALTIME_TIMESTAMP", "_HOSTNAME", "_BOOT_ID"} <= newest.keys(),
        "other_files": _other_files(),
    }


def _entry(*words: str) -> dict[str, Any]:
    wanted = words or ("--lines=1",)
    said = output("journalctl", "--no-pager", "--quiet", "--output=json", *wanted)
    found: dict[str, Any] = json.loads(said.splitlines()[0]) if said.strip() else {}
    if "__REALTIME_TIMESTAMP" not in found:
        raise Unread("le journal n’a aucune entrée")
    return found


def _readers() -> list[str]:
    """Members of the groups that read the whole journal."""
    lines = (line.split(":") for line in text("/etc/group").splitlines())
    return sorted({
        member for name, _x, _gid, members in lines if name in {"systemd-journal", "adm"}
        for member in members.split(",") if member
    })  # fmt: skip


OTHERS = re.compile(
    r"^/var/log/(journal|socle|apt|private|runit|audit|installer)/"
    r"|/(btmp|wtmp|lastlog|dpkg\.log|alternatives\.log|faillog|README|bootstrap\.log|fontconfig\.log)(\.\d+)?(\.gz)?$"
)
"""Files of /var/log that are no service's log."""


def _other_files() -> list[str]:
    """Plain files that a service still logs to beside the journal, changed in the last day."""
    recent = time.time() - 86400
    found = (path for path in Path("/var/log").rglob("*") if path.is_file() and not path.is_symlink())
    states = ((str(path), path.stat()) for path in found if not OTHERS.search(str(path)))
    return sorted(path for path, state in states if state.st_size and state.st_mtime > recent)


def config(name: str) -> dict[str, str]:
    """Settings of a file of systemd with all that is laid over it; the last one of a name wins."""
    lines = output("systemd-analyze", "cat-config", name).splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith(("#", ";")))
    return {key.strip(): value.strip() for key, value in pairs}


@section("upload")
def upload(_questions: Questions) -> dict[str, Any]:
    """Where the journal is sent, by whom, and how far behind the newest entry the store is."""
    newest = _entry()
    cursor = re.search(r";t=([0-9a-f]+)", text(str(CURSOR)))
    if not cursor:
        raise Unread("l’envoi du journal n’a encore rien livré")
    behind = (int(newest["__REALTIME_TIMESTAMP"]) - int(cursor[1], 16)) / MICRO
    return {
        "settings": config("systemd/journal-upload.conf"),
        "unit": properties("systemd-journal-upload"),
        "behind_seconds": max(round(behind), 0),
    }


def properties(unit: str) -> dict[str, str]:
    """How far systemd confines a unit."""
    said = output("systemctl", "show", "--property", ",".join(SANDBOX), "--", unit)
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


@section("log_store", component="logs_store")
def log_store(_questions: Questions) -> dict[str, Any]:
    """What the store's own program measures of what it keeps, and who may touch it."""
    settings = json.loads(text("/etc/socle/logs.json"))
    folder = Path(settings["store"])
    entries = [path for path in folder.rglob("*") if path.is_file()]
    space = os.statvfs(folder)
    return {
        "retention_months": settings["retention_months"],
        "folder": _rights(folder),
        "nodes": {path.name: _rights(path) for path in sorted(folder.iterdir()) if path.is_dir()},
        "readable_by_all": sorted(str(path) for path in entries if path.stat().st_mode & 0o007)[:20],
        "used_mib": sum(path.stat().st_size for path in entries) >> 20,
        "free_percent": round(100 * space.f_bavail / max(space.f_blocks, 1)),
        "oldest_day": min((path.name[:10] for path in folder.glob("*/*.jsonl*")), default=None),
        "events": {path.name: _events(path) for path in sorted(folder.iterdir()) if path.is_dir()},
        "receiver": properties("socle-logs"),
        "sealing": properties("socle-logs-seal.service"),
        "measured": json.loads(output(STORE_PROGRAM, seconds=60, given='{"do": "measure"}')),
    }


@section("tenant_events", component="logs_store")
def tenant_events(questions: Questions) -> dict[str, Any]:
    """How many events each tenant would get if it asked, and which other tenants these name."""
    asked = questions["tenant_events"]
    if "problem" in asked:
        raise Unread(asked["problem"])
    found: dict[str, Any] = json.loads(
        output(STORE_PROGRAM, seconds=60, given=json.dumps({"do": "count", **asked}))
    )
    return found


EVENTS = {
    "sessions": rb'"SYSLOG_IDENTIFIER":"sshd(?:-session)?"',
    "rights": rb'"SYSLOG_IDENTIFIER":"sudo"',
    "services": rb'"SYSLOG_IDENTIFIER":"systemd"',
}
TAIL = 16 << 20
"""Bytes of a node's newest file that are looked through."""


def _events(folder: Path) -> dict[str, bool]:
    """Which kinds of events came from a node lately, and whether each entry has its time."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        return {}
    # The folder is the receiver's: no link out of it, and no pipe that never ends.
    handle = os.open(files[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        stream.seek(max(os.fstat(handle).st_size - TAIL, 0))
        body = stream.read()
    lines = body[body.find(b"{") : body.rfind(b"\n") + 1].splitlines()
    found = {kind: re.search(pattern, body) is not None for kind, pattern in EVENTS.items()}
    timed = all(b'"__REALTIME_TIMESTAMP":"' in line for line in lines[1:])
    return {**found, "timestamped": timed and len(lines) > 1}


def _rights(path: Path) -> str:
    state = path.stat()
    return f"{state.st_mode & 0o7777:04o} {path.owner()} {path.group()}"
