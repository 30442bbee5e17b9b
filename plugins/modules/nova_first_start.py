#!/usr/bin/python
"""Start nova-compute a second time after its first start ever on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nova_first_start
short_description: Start nova-compute again after its first start ever on a host
description:
  - On its first start on a host, nova-compute speaks to libvirt before it listens to its events, and never
    hears one ("URI qemu:///system does not support events"). Each detachment of a volume then waits 20 s
    in vain.
  - The process that wrote C(/var/lib/nova/compute_id) is that first one; when it still runs, the service is
    restarted.
"""

EXAMPLES = r"""
- name: Nova-compute hears libvirt
  nova_first_start:
"""

RETURN = r"""
first: {description: Whether the process that ran was the first one., type: bool, returned: always}
"""

import os

from ansible.module_utils.basic import AnsibleModule

IDENTITY = "/var/lib/nova/compute_id"
SERVICE = "nova-compute.service"


def started(module):
    """Seconds since the epoch at which the running process started, 0 when none runs."""
    command = [
        "systemctl",
        "show",
        "--timestamp=unix",
        "--property=ExecMainStartTimestamp",
        "--value",
        SERVICE,
    ]
    text = module.run_command(command, check_rc=True)[1].strip()
    return int(text.lstrip("@") or 0)


def written():
    """Seconds since the epoch at which the host got its identity, 0 when it has none."""
    return int(os.stat(IDENTITY).st_mtime) if os.path.exists(IDENTITY) else 0


def main():
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    start, identity = started(module), written()
    first = bool(start) and identity >= start
    if first and not module.check_mode:
        module.run_command(["systemctl", "restart", SERVICE], check_rc=True)
    module.exit_json(changed=first, first=first)


if __name__ == "__main__":
    main()
