#!/usr/bin/python
"""Bring systemd units to the state that a role wants, all in one execution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: units
short_description: Start, stop, mask and restart systemd units in one execution
description:
  - Reads the state of all units with one call of C(systemctl show) and acts only on those that differ.
  - Reloads systemd's own configuration first when a unit file or a drop-in changed, or when systemd does not
    know a unit.
  - Scripts of C(/etc/init.d) that systemd wraps are understood as well.
  - A unit that does not come up fails the task with the last lines of its journal.
  - In check mode a unit that no package brought yet counts as one that would be started.
options:
  started: {description: Units that are enabled and active., type: list, elements: str, default: []}
  stopped: {description: Units that are disabled and inactive., type: list, elements: str, default: []}
  masked: {description: Units that are stopped and cannot be started., type: list, elements: str, default: []}
  restarted: {description: Units to restart or start., type: list, elements: str, default: []}
  reloaded: {description: Units to reload now or to start., type: list, elements: str, default: []}
  renewed:
    description: >-
      Units that are to read everything anew. Reloaded where they can be, which cuts no request short;
      restarted where they cannot, do not run, or have a unit file that is newer than their process.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: The proxy runs
  units:
    started: [haproxy, keepalived]
"""

RETURN = r"""
actions: {description: What is done, type: list, returned: always, sample: ["start haproxy.service"]}
"""

import os

from ansible.module_utils.basic import AnsibleModule

PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,Type,ConditionResult,AssertResult,"
    "CanReload,ExecMainStartTimestamp,FragmentPath,DropInPaths"
)
RUNNING = ("active", "reloading", "refreshing")
# Nothing to enable: systemd starts it for another unit, or it exists only while the machine runs.
NOT_ENABLED_BY_NAME = ("static", "indirect", "alias", "transient", "enabled-runtime", "linked")
JOURNAL_LINES = "15"


class Systemd:
    """The few calls of systemctl that are needed; changes are only written down in check mode."""

    def __init__(self, module):
        self.module = module
        self.actions = []
        self.scripts = set()

    def call(self, *arguments):
        # A native unit is enabled as such: runlevels of a script of the same name mean nothing to systemd.
        native = arguments[0] in ("enable", "disable") and not self.scripts.intersection(arguments)
        return self.module.run_command(
            ["systemctl", "--no-pager", "--no-ask-password", *list(arguments)],
            environ_update={"SYSTEMCTL_SKIP_SYSV": "1"} if native else {},
        )

    def show(self, units):
        """State of each unit, by the name that was asked for."""
        if not units:
            return {}
        code, out, err = self.call("show", "--timestamp=unix", "--property=" + PROPERTIES, "--", *units)
        blocks = [block for block in out.split("\n\n") if block.strip()]
        if code != 0 or len(blocks) != len(units):
            self.module.fail_json(msg="systemctl show: {}".format((err or out).strip() or "no answer"))
        states = {
            unit: dict(line.split("=", 1) for line in block.splitlines())
            for unit, block in zip(units, blocks, strict=False)
        }
        self.scripts |= {unit for unit in units if states[unit]["UnitFileState"] == "generated"}
        return states

    def act(self, verb, units, *options):
        """Run one verb on all units, and fail with what the journal says when one does not obey."""
        if not units:
            return
        self.actions += [f"{verb} {unit}" for unit in units]
        if self.module.check_mode:
            return
        code, out, err = self.call(verb, *([*list(options), "--", *units]))
        if code != 0:
            self.give_up(f"systemctl {verb}: {(err or out).strip()}", units)

    def give_up(self, reason, units):
        states = self.show(units)
        failed = [u for u in units if states[u]["ActiveState"] not in RUNNING] or units
        journals = [f"{unit}:\n{self.journal(unit)}" for unit in failed]
        self.module.fail_json(msg=reason + "\n" + "\n".join(journals), actions=self.actions)

    def journal(self, unit):
        command = ["journalctl", "--no-pager", "-o", "cat", "-n", JOURNAL_LINES, "-u", unit]
        return self.module.run_command(command)[1].strip() or "(nothing in the journal)"


def full(unit):
    """The name with its suffix; a bare name is a service."""
    return unit if "." in unit else unit + ".service"


def names(module, parameter):
    return [full(unit) for unit in module.params[parameter]]


def reload_systemd(systemd, units):
    """Read unit files again when one is newer than what systemd knows. An unknown unit may be a new file."""
    states = systemd.show(units)
    stale = [u for u in units if states[u]["NeedDaemonReload"] == "yes"]
    unknown = [u for u in units if states[u]["LoadState"] in ("not-found", "error", "bad-setting")]
    if not (stale or unknown) or systemd.module.check_mode:
        return states
    code, out, err = systemd.call("daemon-reload")
    if code != 0:
        systemd.module.fail_json(msg=f"systemctl daemon-reload: {(err or out).strip()}")
    if stale:
        systemd.actions.append("daemon-reload for " + ", ".join(stale))
    return systemd.show(units)


def enabled(systemd, unit, state):
    """Whether the unit starts at boot. For a script of /etc/init.d only `is-enabled` knows."""
    if state["UnitFileState"] == "generated":
        return systemd.call("is-enabled", "--quiet", unit)[0] == 0
    return state["UnitFileState"] == "enabled" or state["UnitFileState"] in NOT_ENABLED_BY_NAME


def disabled(systemd, unit, state):
    if state["UnitFileState"] == "generated":
        return systemd.call("is-enabled", "--quiet", unit)[0] != 0
    return state["UnitFileState"] not in ("enabled", "enabled-runtime")


def runs(state):
    """Active now; a service that is between two automatic restarts is not."""
    return state["ActiveState"] in RUNNING


def exists(state):
    return state["LoadState"] in ("loaded", "masked")


def must_exist(systemd, units, states):
    missing = [unit for unit in units if not exists(states[unit])]
    if missing and not systemd.module.check_mode:
        systemd.module.fail_json(
            msg="{} does not exist; is its package installed?".format(", ".join(missing))
        )


def start(systemd, units, states):
    must_exist(systemd, units, states)
    masked = [u for u in units if states[u]["LoadState"] == "masked"]
    failed = [u for u in units if states[u]["ActiveState"] == "failed"]
    systemd.act("unmask", masked)
    systemd.act("enable", [u for u in units if u in masked or not enabled(systemd, u, states[u])])
    if failed and not systemd.module.check_mode:
        systemd.call("reset-failed", "--", *failed)
    stopped = [u for u in units if not runs(states[u])]
    systemd.act("start", stopped)
    came_up(systemd, stopped)


def came_up(systemd, units):
    """`systemctl start` says yes to a unit whose conditions fail, and to a daemon that dies at once."""
    if systemd.module.check_mode or not units:
        return
    states = systemd.show(units)
    for unit in units:
        state = states[unit]
        if runs(state) or (state["Type"] == "oneshot" and state["ActiveState"] == "inactive"):
            continue
        why = "is {} ({})".format(state["ActiveState"], state["SubState"])
        if "no" in (state.get("ConditionResult"), state.get("AssertResult")):
            why += ", a Condition or Assert of the unit is not met"
        systemd.give_up(f"{unit} {why} after its start", [unit])


def again(systemd, verb, units, states):
    """Restart or reload now, whatever the state was."""
    must_exist(systemd, units, states)
    failed = [u for u in units if states[u]["ActiveState"] == "failed"]
    if failed and not systemd.module.check_mode:
        systemd.call("reset-failed", "--", *failed)
    systemd.act(verb, units)
    came_up(systemd, units)


def renew(systemd, units, states):
    """Reload the units that a reload brings wholly up to date, restart the others."""
    must_exist(systemd, units, states)
    gentle = [
        u for u in units if runs(states[u]) and states[u]["CanReload"] == "yes" and not outdated(states[u])
    ]
    again(systemd, "reload", gentle, states)
    again(systemd, "restart", [u for u in units if u not in gentle], states)


def outdated(state):
    """Whether a file of the unit changed since its process was started; only a restart takes that."""
    started = state.get("ExecMainStartTimestamp", "").lstrip("@")
    files = [state.get("FragmentPath", ""), *state.get("DropInPaths", "").split()]
    changed = [os.stat(file).st_mtime for file in files if file and os.path.exists(file)]
    return not started.isdigit() or any(int(started) <= at for at in changed)


def stop(systemd, units, states):
    there = [u for u in units if exists(states[u]) and states[u]["LoadState"] != "masked"]
    systemd.act("disable", [u for u in there if not disabled(systemd, u, states[u])])
    systemd.act("stop", [u for u in there if states[u]["ActiveState"] not in ("inactive", "failed")])


def mask(systemd, units, states):
    systemd.act("mask", [u for u in units if states[u]["LoadState"] != "masked"], "--now")


def main():
    parameters = ("started", "stopped", "masked", "restarted", "reloaded", "renewed")
    module = AnsibleModule(
        argument_spec={name: {"type": "list", "elements": "str", "default": []} for name in parameters},
        supports_check_mode=True,
    )
    systemd = Systemd(module)
    wanted = {name: names(module, name) for name in parameters}
    states = reload_systemd(systemd, sorted({unit for units in wanted.values() for unit in units}))
    mask(systemd, wanted["masked"], states)
    stop(systemd, wanted["stopped"], states)
    again(systemd, "restart", wanted["restarted"], states)
    again(systemd, "reload-or-restart", wanted["reloaded"], states)
    renew(systemd, wanted["renewed"], states)
    start(systemd, [u for u in wanted["started"] if u not in wanted["restarted"]], states)
    start_enabled = [u for u in wanted["started"] if u in wanted["restarted"]]
    systemd.act("enable", [u for u in start_enabled if not enabled(systemd, u, states[u])])
    difference = "".join(action + "\n" for action in systemd.actions)
    module.exit_json(
        changed=bool(systemd.actions),
        actions=systemd.actions,
        diff={"before": "", "after": difference, "after_header": "systemd"} if difference else {},
    )


if __name__ == "__main__":
    main()
