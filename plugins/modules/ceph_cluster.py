#!/usr/bin/python
"""Ensure what a Ceph cluster holds: keys and capabilities, pools, and the OSDs of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_cluster
short_description: Keys, pools and the OSDs of a host in a Ceph cluster
description:
  - Speaks to the monitors through librados, with a time limit on every call.
  - An OSD has an identifier that follows from the cluster, the host and the place, so that a run which was
    killed half-way takes up the same OSD again.
  - Pools and accounts that it does not know are left alone.
options:
  host: {description: Name of the host., type: str, required: true}
  osds: {description: OSDs of the host; C(device) or C(file_gib)., type: list, elements: dict, default: []}
  encrypt: {description: OSDs on devices are encrypted., type: bool, default: true}
  pools: {description: Pools with C(name) and C(application)., type: list, elements: dict, default: []}
  copies: {description: Copies of each object., type: int, default: 3}
  placement_groups:
    description: Placement groups of each pool; a pool that has more keeps them.
    type: int
    default: 16
  muted:
    description: Health checks that are known and say nothing new.
    type: list
    elements: str
    default: []
  users:
    description: Accounts.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Entity., type: str, required: true}
      key: {description: Secret key., type: str, required: true}
      capabilities: {description: Capability by kind of daemon., type: dict, required: true}
  patience: {description: Seconds to wait for the monitors., type: int, default: 60}
"""

EXAMPLES = r"""
- name: The cluster has its pools, the host its OSDs
  ceph_cluster:
    host: sto1
    osds: [{file_gib: 10}]
    pools: [{name: volumes, application: rbd}]
    copies: 1
"""

RETURN = r"""
changes: {description: What was made or corrected., returned: always, type: list}
units: {description: Units of the host's OSDs., returned: always, type: list}
"""

import fcntl
import json
import os
import shutil
import time
import uuid

from ansible.module_utils.basic import AnsibleModule

try:
    import rados
except ImportError:
    rados = None

CONFIGURATION = "/etc/ceph/ceph.conf"
OSDS = "/var/lib/ceph/osd"
OSD_CAPABILITIES = ["mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"]
RULES = {"osd": "apart-by-osd", "host": "apart-by-host"}
# A run that was killed can leave its module at work: the next one waits for it.
LOCK = "/run/lock/socle-ceph"
LIMIT = 30
ENOENT = 2


class CephError(Exception):
    """The monitors refused a command or did not answer in time."""


class Monitors:
    """Commands of the monitors, https://docs.ceph.com/en/reef/api/mon_command_api/."""

    def __init__(self, patience):
        settings = {"client_mount_timeout": str(LIMIT), "rados_mon_op_timeout": str(LIMIT)}
        if not os.path.exists(CONFIGURATION):
            raise CephError(CONFIGURATION + " does not exist")
        self.cluster = rados.Rados(conffile=CONFIGURATION, name="client.admin", conf=settings)
        deadline = time.monotonic() + patience
        while True:
            try:
                self.cluster.connect(timeout=5)
            except rados.Error as error:
                if time.monotonic() > deadline:
                    raise CephError(f"the monitors do not answer: {error}") from error
                time.sleep(1)
            else:
                return

    def ask(self, prefix, payload="", missing=None, **arguments):
        """Decoded answer; ``missing`` when what is asked for does not exist. Raises CephError."""
        command = json.dumps({"prefix": prefix, "format": "json", **arguments})
        code, answer, text = self.cluster.mon_command(command, payload.encode(), timeout=LIMIT)
        if code == -ENOENT and missing is not None:
            return missing
        if code != 0:
            raise CephError(f"{prefix}: {text or os.strerror(-code)}")
        return json.loads(answer) if answer.strip() else {}


class Cluster:
    """Compare and correct; every change is one line in `changes`."""

    def __init__(self, module, monitors):
        self.module, self.monitors, self.changes = module, monitors, []

    def change(self, line, prefix=None, **arguments):
        """Note one change, and make it when it is one command."""
        self.changes.append(line)
        if prefix and not self.module.check_mode:
            return self.monitors.ask(prefix, **arguments)
        return {}

    def user(self, wanted):
        name, capabilities = wanted["name"], wanted["capabilities"]
        found = self.monitors.ask("auth get", missing=[{}], entity=name)[0]
        if found.get("key") == wanted["key"] and found.get("caps") == capabilities:
            return
        lines = [f"[{name}]", f"key = {wanted['key']}"]
        lines += [f'caps {daemon} = "{capability}"' for daemon, capability in capabilities.items()]
        self.change("key of " + name, "auth import", payload="\n".join(lines) + "\n")

    def rule(self, kind):
        """Identifier of the rule that keeps copies apart by host (or OSD)."""
        name = RULES[kind]
        rules = {rule["rule_name"]: rule["rule_id"] for rule in self.monitors.ask("osd crush rule dump")}
        if name not in rules:
            arguments = {"name": name, "root": "default", "type": kind}
            self.change("rule " + name, "osd crush rule create-replicated", **arguments)
            if self.module.check_mode:
                return None
            rules = {rule["rule_name"]: rule["rule_id"] for rule in self.monitors.ask("osd crush rule dump")}
        return rules[name]

    def pools(self, wanted, copies, groups):
        kind = "host" if copies > 1 else "osd"
        rule = self.rule(kind)
        found = self.found_pools()
        for pool in wanted:
            name = pool["name"]
            if name not in found:
                arguments = {"pool": name, "pg_num": groups, "rule": RULES[kind]}
                self.change("pool " + name, "osd pool create", pool_type="replicated", **arguments)
        if not self.module.check_mode:
            found = self.found_pools()
        for pool in wanted:
            if pool["name"] in found:
                now = found[pool["name"]]
                options = {"size": copies, "min_size": max(1, copies - 1)}
                options["pg_num"] = max(groups, now["pg_num_target"])
                self.pool(pool, now, options, rule, kind)

    def found_pools(self):
        return {pool["pool_name"]: pool for pool in self.monitors.ask("osd pool ls", detail="detail")}

    def pool(self, wanted, found, options, rule, kind):
        name = wanted["name"]
        current = dict(found, pg_num=found["pg_num_target"])
        for option, value in options.items():
            if current[option] != value:
                arguments = {"pool": name, "var": option, "val": str(value), "yes_i_really_mean_it": True}
                self.change(f"pool {name}: {option} {value}", "osd pool set", **arguments)
        if found["crush_rule"] != rule:
            arguments = {"pool": name, "var": "crush_rule", "val": RULES[kind]}
            self.change(f"pool {name}: {RULES[kind]}", "osd pool set", **arguments)
        if wanted["application"] not in found["application_metadata"]:
            arguments = {"pool": name, "app": wanted["application"]}
            self.change(f"pool {name}: {wanted['application']}", "osd pool application enable", **arguments)

    def mute(self, codes):
        muted = {mute["code"] for mute in self.monitors.ask("health").get("mutes", [])}
        for code in codes:
            if code not in muted:
                self.change("muted " + code, "health mute", code=code, sticky=True)

    def osds(self, wanted, host, encrypt):
        """Units of the OSDs."""
        if not wanted:
            return []
        cluster = uuid.UUID(self.monitors.cluster.get_fsid())
        known = {osd["uuid"]: osd for osd in self.monitors.ask("osd dump")["osds"]}
        units = []
        for number, osd in enumerate(wanted):
            identifier = str(uuid.uuid5(cluster, f"{host}/{osd.get('device') or f'file-{number}'}"))
            make = self.on_device if osd.get("device") else self.on_file
            name = make(osd, identifier, known.get(identifier), encrypt)
            if name is not None:
                units.append(f"ceph-osd@{name}.service")
        return units

    def run(self, command):
        """Run one command; Ceph's tools tell their life's story, of which the last line says what failed."""
        code, out, err = self.module.run_command(command)
        if code != 0:
            lines = (err.strip() or out.strip() or "no word").splitlines()
            raise CephError(f"{' '.join(command[2:5])}: status {code}: {lines[-1]}")

    def lost(self, found, place):
        """Raise when the OSD has served before: what it held cannot be made again in silence."""
        if found and "new" not in found["state"]:
            name = f"osd.{found['osd']}"
            raise CephError(
                f"{name} has served and {place} does not hold it any more; bring it back, "
                f"or give it up for good with `ceph osd purge {found['osd']} --yes-i-really-mean-it`"
            )

    def on_device(self, osd, identifier, found, encrypt):
        """An OSD on a whole device, by ceph-volume; returns its number."""
        if found and os.path.exists(os.path.join(OSDS, f"ceph-{found['osd']}", "block")):
            return found["osd"]
        prepared = bool(found) and self.prepared(osd, identifier)
        if not prepared:
            self.lost(found, osd["device"])
        self.changes.append("OSD on " + osd["device"])
        if self.module.check_mode:
            return None
        create = ["create", "--bluestore", "--data", osd["device"], "--osd-fsid", identifier]
        create += ["--dmcrypt"] if encrypt else []
        command = ["activate", str(found["osd"]), identifier] if prepared else create
        self.run(["timeout", "600", "ceph-volume", "lvm", *command])
        return {entry["uuid"]: entry["osd"] for entry in self.monitors.ask("osd dump")["osds"]}[identifier]

    def prepared(self, osd, identifier):
        """True when the device already carries this OSD."""
        command = ["timeout", "120", "ceph-volume", "lvm", "list", "--format", "json", osd["device"]]
        code, answer, _errors = self.module.run_command(command)
        return code == 0 and identifier in answer

    def on_file(self, osd, identifier, found, _encrypt):
        """An OSD on a sparse file; returns its number."""
        if found and os.path.exists(os.path.join(OSDS, f"ceph-{found['osd']}", "mkfs_done")):
            return found["osd"]
        self.lost(found, OSDS)
        self.changes.append(f"OSD on a file of {osd['file_gib']} GiB")
        if self.module.check_mode:
            return None
        name = found["osd"] if found else self.monitors.ask("osd new", uuid=identifier)["osdid"]
        place = os.path.join(OSDS, f"ceph-{name}")
        key = self.monitors.ask("auth get-or-create", entity=f"osd.{name}", caps=OSD_CAPABILITIES)[0]["key"]
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place, mode=0o750)
        keyring = os.path.join(place, "keyring")
        with os.fdopen(os.open(keyring, os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
            stream.write(f"[osd.{name}]\nkey = {key}\n")
        for path in (place, keyring):
            shutil.chown(path, "ceph", "ceph")
        command = ["ceph-osd", "--mkfs", "--no-mon-config", "--id", str(name), "--osd-uuid", identifier]
        command += ["--keyring", keyring, "--bluestore-block-size", str(osd["file_gib"] << 30)]
        command += ["--setuser", "ceph", "--setgroup", "ceph"]
        self.run(["timeout", "120", *command])
        return name


def ensure(module):
    """What changed, and the units of the host's OSDs."""
    wanted = module.params
    lock = open(LOCK, "w")  # noqa: SIM115 held until the module ends
    fcntl.flock(lock, fcntl.LOCK_EX)
    cluster = Cluster(module, Monitors(2 if module.check_mode else wanted["patience"]))
    for user in wanted["users"]:
        cluster.user(user)
    if wanted["pools"]:
        cluster.pools(wanted["pools"], wanted["copies"], wanted["placement_groups"])
    if wanted["muted"]:
        cluster.mute(wanted["muted"])
    units = cluster.osds(wanted["osds"], wanted["host"], wanted["encrypt"])
    return cluster.changes, units


def main():
    user = {
        "name": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": True},
        "capabilities": {"type": "dict", "required": True},
    }
    entries = {"type": "list", "elements": "dict", "default": []}
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "osds": entries,
            "encrypt": {"type": "bool", "default": True},
            "pools": entries,
            "copies": {"type": "int", "default": 3},
            "placement_groups": {"type": "int", "default": 16},
            "muted": {"type": "list", "elements": "str", "default": []},
            "users": dict(entries, options=user),
            "patience": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if rados is None:
        module.fail_json(msg="python3-rados is not installed on the host")
    try:
        changes, units = ensure(module)
    except CephError as error:
        if module.check_mode:
            module.exit_json(changed=True, changes=[f"everything: {error}"], units=[])
        module.fail_json(msg=f"Ceph: {error}")
    after = "".join(line + "\n" for line in changes)
    module.exit_json(changed=bool(changes), changes=changes, units=units, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
