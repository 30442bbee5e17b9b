#!/usr/bin/python
"""Bring Open vSwitch's own database to what a role wants: settings, bridges and ports in one transaction."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_settings
short_description: Settings, bridges and ports of Open vSwitch in one transaction
description:
  - Reads the database of Open vSwitch with one call of C(ovs-vsctl), compares, and sets what differs with a
    second one.
  - Only what is named is touched. Bridges and ports that others made (OVN's own, those of guests) stay.
  - A port that stands in another bridge is moved.
  - The settings live in a running database; when Open vSwitch does not run, it is started.
options:
  external_ids:
    description: Keys of C(Open_vSwitch external_ids); an empty value removes the key.
    type: dict
    default: {}
  other_config:
    description: Keys of C(Open_vSwitch other_config); an empty value removes the key.
    type: dict
    default: {}
  bridges:
    description: Bridges that exist, with their ports.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name of the bridge., type: str, required: true}
      datapath_type:
        description: Where packets are forwarded.
        type: str
        choices: [system, netdev]
        default: system
      fail_mode:
        description: What a bridge without controller does.
        type: str
        choices: [standalone, secure]
        default: standalone
      ports: {description: Interfaces of the host that are its ports., type: list, elements: str, default: []}
"""

EXAMPLES = r"""
- name: The switch is a chassis of OVN
  ovs_settings:
    external_ids: {ovn-encap-type: geneve, ovn-encap-ip: 10.0.0.21}
    bridges:
      - {name: br-ex, ports: [provider]}
"""

RETURN = r"""
changes: {description: What was set, one line each., type: list, returned: always}
"""

import json
import os
import subprocess

from ansible.module_utils.basic import AnsibleModule

SECONDS = 30
SOCKET = "/run/openvswitch/db.sock"


class UnreachableError(Exception):
    """Open vSwitch does not answer."""


def vsctl(*arguments):
    command = ["ovs-vsctl", f"--timeout={SECONDS}", *list(arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * SECONDS)
    except FileNotFoundError:
        raise UnreachableError("ovs-vsctl does not exist; is openvswitch-switch installed?") from None
    except subprocess.TimeoutExpired:
        raise UnreachableError("ovs-vsctl does not end") from None
    if done.returncode != 0:
        raise UnreachableError((done.stderr or done.stdout).strip())
    return done.stdout


def tables(text):
    """Each table of the output as a list of rows by column name."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        table, position = decoder.raw_decode(text, position)
        yield [dict(zip(table["headings"], row, strict=False)) for row in table["data"]]


def plain(value):
    """OVSDB's JSON notation (RFC 7047, 5.1) as Python values; an empty set is None, a set a list."""
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "map":
        return {key: plain(item) for key, item in content}
    if kind == "set":
        return [plain(item) for item in content] or None
    return content


def read():
    """What the database holds: settings, and bridges with their ports by name."""
    text = vsctl(
        *("--format=json", "--columns=external_ids,other_config", "list", "Open_vSwitch", ".", "--"),
        *("--columns=name,datapath_type,fail_mode,ports", "list", "Bridge", "--"),
        *("--columns=_uuid,name", "list", "Port"),
    )
    switch, bridges, ports = ([{k: plain(v) for k, v in row.items()} for row in t] for t in tables(text))
    names = {port["_uuid"]: port["name"] for port in ports}
    found = {}
    for bridge in bridges:
        members = bridge["ports"] or []
        members = members if isinstance(members, list) else [members]
        found[bridge["name"]] = dict(bridge, ports=[names[port] for port in members])
    return switch[0], found


def quoted(value):
    """A string as ovs-vsctl takes it whatever it contains."""
    return json.dumps(value)


def settings(column, wanted, present):
    """Commands and descriptions that bring one map of the switch to what is wanted."""
    for key, value in sorted(wanted.items()):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if text and present.get(key) != text:
            pair = f"{column}:{key}={quoted(text)}"
            yield ["set", "Open_vSwitch", ".", pair], f"{key} = {text}"
        if not text and key in present:
            yield ["remove", "Open_vSwitch", ".", column, key], f"{key} removed"


def bridge(wanted, present):
    """Commands and descriptions that make one bridge what is wanted."""
    name, found = wanted["name"], present.get(wanted["name"])
    fields = {"datapath_type": wanted["datapath_type"], "fail_mode": wanted["fail_mode"]}
    assignments = [f"{field}={value}" for field, value in fields.items()]
    if found is None:
        commands = ["add-br", name, "--", "set", "Bridge", name, *assignments]
        yield commands, "bridge {} ({})".format(name, ", ".join(assignments))
    else:
        differing = [
            f"{field}={value}" for field, value in fields.items() if (found[field] or default(field)) != value
        ]
        if differing:
            yield ["set", "Bridge", name, *differing], "bridge {}: {}".format(name, ", ".join(differing))
    for port in wanted["ports"]:
        if found and port in found["ports"]:
            continue
        other = next((b["name"] for b in present.values() if port in b["ports"]), None)
        removal = ["del-port", other, port, "--"] if other else []
        yield [*removal, "add-port", name, port], f"port {port} in bridge {name}"


def default(field):
    return {"datapath_type": "system", "fail_mode": "standalone"}[field]


def differences(parameters):
    switch, bridges = read()
    for column in ("external_ids", "other_config"):
        yield from settings(column, parameters[column], switch[column] or {})
    for wanted in parameters["bridges"]:
        yield from bridge(wanted, bridges)


def apply(found):
    """Everything in one transaction; ovs-vsctl waits until the switch has followed."""
    arguments = []
    for command, _description in found:
        arguments += (["--"] if arguments else []) + command
    vsctl(*arguments)


def start():
    """Start Open vSwitch when nobody listens."""
    if os.path.exists(SOCKET):
        return []
    done = subprocess.run(
        ["systemctl", "start", "openvswitch-switch"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise UnreachableError(done.stderr.strip())
    return ["Open vSwitch started"]


def main():
    bridge_options = {
        "name": {"type": "str", "required": True},
        "datapath_type": {"type": "str", "choices": ["system", "netdev"], "default": "system"},
        "fail_mode": {"type": "str", "choices": ["standalone", "secure"], "default": "standalone"},
        "ports": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(
        argument_spec={
            "external_ids": {"type": "dict", "default": {}},
            "other_config": {"type": "dict", "default": {}},
            "bridges": {"type": "list", "elements": "dict", "default": [], "options": bridge_options},
        },
        supports_check_mode=True,
    )
    try:
        started = [] if module.check_mode else start()
        found = list(differences(module.params))
        if found and not module.check_mode:
            apply(found)
    except UnreachableError as error:
        if module.check_mode:
            module.exit_json(changed=True, changes=["everything: Open vSwitch does not run yet"])
        module.fail_json(msg=f"Open vSwitch: {error}")
    changes = started + [description for _command, description in found]
    after = "".join(line + "\n" for line in changes)
    module.exit_json(
        changed=bool(changes),
        changes=changes,
        diff={"before": "", "after": after, "after_header": "Open vSwitch"} if after else {},
    )


if __name__ == "__main__":
    main()
