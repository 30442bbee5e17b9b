"""What one execution can tell of all that bundles have laid on a node, and of its packages.

Each bundle leaves a record of its paths and units. ``survey`` looks at all of them at once, so that the roles
that follow in the same run need not ask the node again as long as nothing on it was changed.
"""

from __future__ import annotations

import errno
import grp
import hashlib
import json
import os
import pwd
import stat

from ansible.module_utils.dpkg import half_way, holds_daemons, statuses

FOLDER = "/var/lib/socle/bundle"
RECORD = ".record"
STARTED = ("active", "enabled"), ("active", "static"), ("active", "indirect"), ("active", "alias")
STOPPED = ("inactive", "disabled"), ("inactive", "masked"), ("inactive", "static"), ("inactive", "")


def read(path):
    """What the node has at this path."""
    try:
        status = os.lstat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return {"kind": "absent"}
        raise
    found = {"owner": status.st_uid, "group": status.st_gid, "mode": stat.S_IMODE(status.st_mode)}
    if stat.S_ISLNK(status.st_mode):
        return dict(found, kind="link", target=os.readlink(path))
    if stat.S_ISDIR(status.st_mode):
        return dict(found, kind="directory")
    if not stat.S_ISREG(status.st_mode):
        return dict(found, kind="other")
    with open(path, "rb") as stream:
        return dict(found, kind="file", content=stream.read())


def owed(name):
    """Handlers that an interrupted run did not get to."""
    try:
        with open(os.path.join(FOLDER, name + ".json")) as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return []


def full(unit):
    """The name with its suffix; a bare name is a service."""
    return unit if "." in unit else unit + ".service"


def states(module, units):
    """Active state, state of the unit file and whether systemd knows its newest text, of each unit."""
    wanted = sorted({full(unit) for unit in units})
    if not wanted:
        return {}
    command = ["systemctl", "show", "--property=ActiveState,UnitFileState,NeedDaemonReload", "--"]
    code, out, _err = module.run_command(command + wanted)
    blocks = [dict(line.split("=", 1) for line in b.splitlines()) for b in out.split("\n\n") if b.strip()]
    return dict(zip(wanted, blocks)) if code == 0 and len(blocks) == len(wanted) else {}  # noqa: B905


def units_are(known, wanted, accepted):
    """Whether all these units are in one of the accepted states. When in doubt they are not."""
    blocks = [known.get(full(unit)) for unit in wanted]
    return all(
        block is not None
        and (block["ActiveState"], block["UnitFileState"]) in accepted
        and block["NeedDaemonReload"] == "no"
        for block in blocks
    )


def remember(name, paths, started, stopped):
    """Keep what a bundle is made of for later surveys."""
    record = {"paths": paths, "started": started, "stopped": stopped}
    if recorded(name) == record:
        return
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    path = os.path.join(FOLDER, name + RECORD)
    with open(path + ".new", "w") as stream:
        json.dump(record, stream)
    os.replace(path + ".new", path)


def recorded(name):
    """What a bundle was made of when it was last executed; None when that is not known."""
    try:
        with open(os.path.join(FOLDER, name + RECORD)) as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return None


def survey(module):
    """State of all bundles of the node and of its packages, without any content."""
    names = sorted(n[: -len(RECORD)] for n in os.listdir(FOLDER) if n.endswith(RECORD))
    records = {name: record for name in names for record in [recorded(name)] if record}
    known = states(module, {u for r in records.values() for u in r["started"] + r["stopped"]})
    packages = statuses(module)
    return {
        "bundles": {name: look(name, record, known) for name, record in records.items()},
        "packages": {
            "installed": sorted(name for name, status in packages.items() if status == "installed"),
            "settled": not half_way(packages) and not holds_daemons(),
        },
    }


def look(name, record, known):
    """One bundle: its paths, whether its units are as they were wanted, whether handlers are owed."""
    return {
        "paths": {path: described(path) for path in record["paths"]},
        "started": record["started"],
        "stopped": record["stopped"],
        "runs": units_are(known, record["started"], STARTED) and units_are(known, record["stopped"], STOPPED),
        "owed": owed(name),
    }


def described(path):
    """What stands at a path, with names for numbers and a hash for the content."""
    found = read(path)
    if "content" in found:
        found["content"] = hashlib.sha256(found["content"]).hexdigest()
    if "owner" in found:
        found["owner"] = name_of(pwd.getpwuid, found["owner"])
        found["group"] = name_of(grp.getgrgid, found["group"])
    return found


def name_of(look_up, number):
    try:
        return look_up(number)[0]
    except KeyError:
        return None
