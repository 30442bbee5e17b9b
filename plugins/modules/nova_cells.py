#!/usr/bin/python
"""Bring Nova's three databases to the current schema and map its cells, in one execution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nova_cells
short_description: Bring Nova's databases to the current schema and map its cells
description:
  - Runs on a controller as C(nova) and reads the addresses and passwords in C(/etc/nova/nova.conf) only.
  - The cells C(cell0) and C(cell1) are mapped by templates ("{username}", "{password}", …) that Nova fills
    from its configuration, so that the database holds no password, and a new one needs no new mapping.
  - Imports Nova once, where the five C(nova-manage) commands would import it five times.
options:
  controllers:
    description: Number of controllers, that is of hosts in C(transport_url).
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Nova schema is current
  nova_cells:
    controllers: "{{ groups.controllers | length }}"
"""

RETURN = r"""
changes: {description: What was brought to the current schema or mapped., type: list, returned: always}
"""

import json
import subprocess

from ansible.module_utils.basic import AnsibleModule

SECONDS = 600
DATABASE = "{scheme}://{username}:{password}@{hostname}:{port}/%s?{query}"
CELL0 = "00000000-0000-0000-0000-000000000000"

# Runs as `nova`; gets the wanted cells on its standard input, answers on its last line.
SCRIPT = r"""
import contextlib, json, sys
wanted = json.load(sys.stdin)
with contextlib.redirect_stdout(sys.stderr):
    from nova.cmd import manage
    from nova import config, context, objects
    from nova.db import migration
    from nova.db.api import api, models
    from oslo_utils import uuidutils

    config.parse_args(["nova-manage"], default_config_files=["/etc/nova/nova.conf"])
    objects.register_all()
    changes = []

    def versions():
        return [migration.db_version(database=name) for name in ("api", "main")]

    @api.context_manager.reader
    def mapped(ctxt):
        rows = ctxt.session.query(models.CellMapping).all()
        return {row.name or row.uuid: (row.uuid, row.transport_url, row.database_connection) for row in rows}

    before = versions()
    manage.ApiDbCommands().sync()
    ctxt = context.get_admin_context()
    present = mapped(ctxt)
    for cell in wanted:
        fields = {"transport_url": cell["transport_url"], "database_connection": cell["database_connection"]}
        found = present.get(cell["name"])
        if found is None:
            uuid = cell["uuid"] or uuidutils.generate_uuid()
            objects.CellMapping(ctxt, uuid=uuid, name=cell["name"], **fields).create()
            changes.append("map " + cell["name"])
        elif found[1:] != (fields["transport_url"], fields["database_connection"]):
            mapping = objects.CellMapping.get_by_uuid(ctxt, found[0])
            for name, value in fields.items():
                setattr(mapping, name, value)
            mapping.save()
            changes.append("map " + cell["name"] + " again")
    failed = manage.DbCommands().sync()
    if versions() != before:
        changes.insert(0, "bring the schema to its current version")
print(json.dumps({"changes": changes, "failed": bool(failed)}))
"""


def transport(controllers):
    """Nova numbers the hosts of a transport URL from 1, unless there is only one."""
    numbers = [""] if controllers == 1 else [str(number) for number in range(1, controllers + 1)]
    one = "{{username{0}}}:{{password{0}}}@{{hostname{0}}}:{{port{0}}}"
    return "{scheme}://" + ",".join(one.format(number) for number in numbers) + "/{path}"


def cells(controllers):
    return [
        {
            "name": "cell0",
            "uuid": CELL0,
            "transport_url": "none:///",
            "database_connection": DATABASE % "nova_cell0",
        },
        {
            "name": "cell1",
            "uuid": None,
            "transport_url": transport(controllers),
            "database_connection": DATABASE % "{path}",
        },
    ]


def main():
    module = AnsibleModule(
        argument_spec={"controllers": {"type": "int", "required": True}}, supports_check_mode=True
    )
    if module.check_mode:
        module.exit_json(changed=True, changes=["bring the schema to its current version"])
    command = ["runuser", "-u", "nova", "--", "/usr/bin/python3", "-c", SCRIPT]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(cells(module.params["controllers"])),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        module.fail_json(msg=f"Nova's databases are not current after {SECONDS} s; does MariaDB answer?")
    lines = done.stdout.strip().splitlines()
    answer = json.loads(lines[-1]) if done.returncode == 0 and lines else None
    if answer is None or answer["failed"]:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["nothing was said"]
        module.fail_json(msg="Nova's databases: " + said[-1])
    module.exit_json(changed=bool(answer["changes"]), changes=answer["changes"])


if __name__ == "__main__":
    main()
