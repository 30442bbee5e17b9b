#!/usr/bin/python
"""Map hypervisors to their cell, and wait until Nova knows all of them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nova_hosts
short_description: Map hypervisors to their cell, and wait until Nova knows all of them
description:
  - Runs on a controller as C(nova). A hypervisor can be mapped once its nova-compute has reported its
    resources, some seconds after its first start; guests are scheduled to mapped hypervisors only.
options:
  hosts: {description: Names of the hypervisors, type: list, elements: str, required: true}
  timeout: {description: Seconds to wait for all of them, type: int, default: 120}
"""

EXAMPLES = r"""
- name: Nova knows its hypervisors
  nova_hosts:
    hosts: "{{ groups.computes }}"
"""

RETURN = r"""
mapped: {description: Hypervisors that were mapped now., type: list, returned: always}
"""

import json
import subprocess

from ansible.module_utils.basic import AnsibleModule

SCRIPT = r"""
import contextlib, json, sys, time
wanted = json.load(sys.stdin)
with contextlib.redirect_stdout(sys.stderr):
    from nova.cmd import manage
    from nova import config, context, objects
    from nova.objects import host_mapping

    config.parse_args(["nova-manage"], default_config_files=["/etc/nova/nova.conf"])
    objects.register_all()
    ctxt = context.get_admin_context()

    def known():
        return {mapping.host for mapping in host_mapping.HostMappingList.get_all(ctxt)}

    before, end = known(), time.monotonic() + wanted["timeout"]
    while True:
        host_mapping.discover_hosts(ctxt)
        missing = sorted(set(wanted["hosts"]) - known())
        if not missing or time.monotonic() > end:
            break
        time.sleep(1)
print(json.dumps({"mapped": sorted(known() - before), "missing": missing}))
"""


def main():
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, mapped=[], msg="Nothing is waited for in check mode")
    command = ["runuser", "-u", "nova", "--", "/usr/bin/python3", "-c", SCRIPT]
    timeout = module.params["timeout"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps({"hosts": module.params["hosts"], "timeout": timeout}),
            capture_output=True,
            text=True,
            timeout=timeout + 120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        module.fail_json(msg=f"Nova's databases did not answer within {timeout + 120} s")
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["nothing was said"]
        module.fail_json(msg="Nova's hypervisors: " + said[-1])
    answer = json.loads(lines[-1])
    if answer["missing"]:
        names = "nova-compute of " + ", ".join(answer["missing"])
        module.fail_json(msg=f"{names}: nothing came within {timeout} s; see its journal")
    module.exit_json(changed=bool(answer["mapped"]), mapped=answer["mapped"])


if __name__ == "__main__":
    main()
