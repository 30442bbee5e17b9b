#!/usr/bin/python
"""Make the monitor of a host from its keyring, once, and keep it running."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_monitor
short_description: The Ceph monitor of a host exists and runs
description:
  - The monitor's store is made beside its place and moved there whole, so that what is in place is complete.
  - The unit is started here, since the cluster answers to nobody before.
options:
  name: {description: Name of the monitor, which is the host's., type: str, required: true}
  fsid: {description: Identifier of the cluster., type: str, required: true}
  monitors: {description: Address of each monitor of the cluster., type: dict, required: true}
  port: {description: Port of the monitors., type: int, required: true}
  keyring: {description: File with the keys of monitors and of C(client.admin)., type: path, required: true}
"""

EXAMPLES = r"""
- name: The monitor of the host runs
  ceph_monitor:
    name: sto1
    fsid: 5f0c3bd5-8f4c-4e1c-a5f5-3b8d1cf1a001
    monitors: {sto1: 10.0.3.31}
    port: 3300
    keyring: /etc/ceph/ceph.mon.keyring
"""

RETURN = r"""
changes: {description: What was made or started, returned: always, type: list}
"""

import fcntl
import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule

DATA = "/var/lib/ceph/mon"
# A run that was killed can leave its module at work: the next one waits for it.
LOCK = "/run/lock/socle-ceph"


def make(module, place):
    """Make the store of the monitor."""
    wanted = module.params
    beside = place + ".new"
    shutil.rmtree(beside, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="socle-ceph-") as folder:
        monmap = os.path.join(folder, "monmap")
        command = ["monmaptool", "--create", "--fsid", wanted["fsid"], "--enable-all-features"]
        for name, address in sorted(wanted["monitors"].items()):
            command += ["--addv", name, f"[v2:{address}:{wanted['port']}/0]"]
        module.run_command([*command, monmap], check_rc=True)
        os.makedirs(beside, mode=0o750)
        command = ["ceph-mon", "--mkfs", "--id", wanted["name"], "--monmap", monmap]
        command += ["--keyring", wanted["keyring"], "--mon-data", beside]
        module.run_command(["timeout", "120", *command], check_rc=True)
    for folder, _folders, files in os.walk(beside):
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            shutil.chown(path, "ceph", "ceph")
    os.rename(beside, place)


def running(module, unit):
    """True when the unit is active and starts at boot."""
    verbs = ("is-active", "is-enabled")
    return all(module.run_command(["systemctl", verb, "--quiet", unit])[0] == 0 for verb in verbs)


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "fsid": {"type": "str", "required": True},
            "monitors": {"type": "dict", "required": True},
            "port": {"type": "int", "required": True},
            "keyring": {"type": "path", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    place = os.path.join(DATA, "ceph-" + module.params["name"])
    unit = f"ceph-mon@{module.params['name']}.service"
    changes = []
    lock = open(LOCK, "w")  # noqa: SIM115 held until the module ends
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not os.path.isdir(place):
        changes.append("store of " + unit)
        if not module.check_mode:
            make(module, place)
    if changes or not running(module, unit):
        changes.append(unit)
        if not module.check_mode:
            module.run_command(["systemctl", "enable", "--quiet", "--now", unit], check_rc=True)
    after = "".join(line + "\n" for line in changes)
    module.exit_json(changed=bool(changes), changes=changes, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
