#!/usr/bin/python
"""Lay all files of a role in one execution: only what differs is written and wakes a handler."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Lay all files of a role in one execution
description:
  - Compares each file with what the node has; replaces by one rename what differs in content, owner or mode.
  - Before anything is written, the handlers that the changes wake are recorded on the node as owed. They are
    forgotten by a call with O(settled=true) that the role makes after its handlers have run. A run that is
    killed in between leaves the record, and the next run wakes the same handlers.
  - Says in passing whether the role's units are as they should be, so that the task that would bring them
    there can be left out. When in doubt it says no.
  - With O(survey=true) it also looks at what all other bundles of the node have laid, so that these need no
    execution of their own while nothing is changed.
options:
  name:
    description: Name of the bundle, one per role.
    type: str
    required: true
  survey: {description: Tell the state of all bundles of the node., type: bool, default: false}
  settled:
    description: The handlers have run; forget what was owed.
    type: bool
    default: false
  started: {description: Units that should be enabled and active., type: list, elements: str, default: []}
  stopped: {description: Units that should be disabled and inactive., type: list, elements: str, default: []}
  files:
    description: What to lay, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path on the node., type: path, required: true}
      state:
        description: What the path is.
        type: str
        choices: [file, directory, link, absent]
        default: file
      content: {description: Text of the file., type: str}
      secret_content: {description: Text of the file that is shown nowhere., type: str}
      target: {description: What a link points to., type: str}
      owner: {description: Owning account., type: str, default: root}
      group: {description: Owning group., type: str, default: root}
      mode: {description: Permissions in octal., type: str}
      secret: {description: The content is shown in no diff., type: bool, default: false}
      force:
        description: Write over a file that is there; with V(false) only its owner and mode are kept.
        type: bool
        default: true
      validate:
        description: Command that judges the new file before it is moved in place; C(%s) is its path.
        type: str
      wakes: {description: Handlers that a change notifies., type: list, elements: str, default: []}
"""

EXAMPLES = r"""
- name: Memcached is configured
  bundle:
    files:
      - path: /etc/memcached.conf
        wakes: [Memcached is restarted]
"""

RETURN = r"""
changed_paths: {description: Paths that were laid., type: list, returned: always}
wakes: {description: Handlers to run, in no particular order., type: list, returned: always}
runs: {description: Nothing is to be done for the files or the units., type: bool, returned: always}
survey: {description: "State of all bundles and packages, without contents.", type: dict, returned: unchanged}
"""

import grp
import json
import os
import pwd
import shlex
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.node_survey import (
    FOLDER,
    STARTED,
    STOPPED,
    owed,
    read,
    remember,
    states,
    survey,
    units_are,
)

DEFAULT_MODES = {"file": 0o644, "directory": 0o755}


class Entry:
    """One path: what it should be, and whether the node already has it."""

    def __init__(self, wanted):
        self.path = wanted["path"]
        self.state = wanted["state"]
        self.secret = wanted["secret"] or wanted["secret_content"] is not None
        text = wanted["secret_content"] if wanted["secret_content"] is not None else wanted["content"]
        self.content = None if text is None else text.encode()
        self.target = wanted["target"]
        self.owner, self.group = wanted["owner"], wanted["group"]
        self.mode = int(wanted["mode"], 8) if wanted["mode"] else DEFAULT_MODES.get(self.state)
        self.validate = wanted["validate"]
        self.wakes = wanted["wakes"]
        self.force = wanted["force"]
        self.found = read(self.path)

    def differs(self):
        """The aspects in which the node differs: type, content, owner, mode."""
        kind = self.found["kind"]
        if self.state == "absent":
            return ["presence"] if kind != "absent" else []
        if kind != self.state:
            return ["type"]
        if self.state == "link":
            return ["target"] if self.found["target"] != self.target else []
        aspects = []
        if self.state == "file" and self.force and self.found["content"] != self.content:
            aspects.append("content")
        if self.found["owner"] != uid(self.owner) or self.found["group"] != gid(self.group):
            aspects.append("owner")
        if self.found["mode"] != self.mode:
            aspects.append("mode")
        return aspects

    def diff(self, aspects):
        """Before and after in Ansible's form; of a secret file, only that it differs."""
        hidden = "(secret, not shown)\n"
        before = (self.found.get("content") or b"").decode(errors="replace")
        after = (self.content or b"").decode(errors="replace")
        if self.secret:
            before, after = (hidden if before else ""), hidden.replace("not shown", "not shown, differs")
        if "content" not in aspects and "type" not in aspects:
            before = after = ""
        return {
            "before": before,
            "after": after,
            "before_header": self.path,
            "after_header": f"{self.path} ({', '.join(aspects)})",
        }

    def lay(self, module):
        """Make the path what it should be; a file is replaced by one rename."""
        kind = self.found["kind"]
        if self.state == "absent":
            remove(self.path)
            return
        if kind not in ("absent", self.state):
            remove(self.path)
        if self.state == "directory":
            os.makedirs(self.path, exist_ok=True)
            self.permit(self.path)
        elif self.state == "link":
            temporary = self.path + ".socle-new"
            remove(temporary)
            os.symlink(self.target, temporary)
            os.replace(temporary, self.path)
        elif kind == "file" and (not self.force or self.found["content"] == self.content):
            self.permit(self.path)
        else:
            self.write(module)

    def write(self, module):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(self.path), prefix=".socle-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(self.content or b"")
                stream.flush()
                os.fsync(stream.fileno())
            self.permit(temporary)
            if self.validate:
                self.judge(module, temporary)
            os.replace(temporary, self.path)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)

    def judge(self, module, temporary):
        command = [part.replace("%s", temporary) for part in shlex.split(self.validate)]
        code, out, err = module.run_command(command)
        if code != 0:
            reason = "(not shown)" if self.secret else (err or out).strip()
            module.fail_json(msg=f"{self.path}: refused by `{self.validate}`: {reason}")

    def permit(self, path):
        os.chown(path, uid(self.owner), gid(self.group))
        os.chmod(path, self.mode)


def uid(name):
    """Numeric id, or -1 for an account that a package has yet to make (check mode before the first run)."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return -1


def gid(name):
    """Numeric id, or -1 for a group that does not exist yet."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1


def remove(path):
    """Remove what is there, whatever it is."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def owed_file(name):
    return os.path.join(FOLDER, name + ".json")


def owe(name, wakes):
    """Record the handlers before the first file is written."""
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    temporary = owed_file(name) + ".new"
    with open(temporary, "w") as stream:
        json.dump(sorted(wakes), stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, owed_file(name))


def accounts_exist(module, entries):
    missing = sorted(
        {"account " + e.owner for e in entries if e.state in DEFAULT_MODES and uid(e.owner) < 0}
        | {"group " + e.group for e in entries if e.state in DEFAULT_MODES and gid(e.group) < 0}
    )
    if missing:
        module.fail_json(msg=f"{', '.join(missing)} does not exist; is the package installed?")


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "settled": {"type": "bool", "default": False},
            "survey": {"type": "bool", "default": False},
            "started": {"type": "list", "elements": "str", "default": []},
            "stopped": {"type": "list", "elements": "str", "default": []},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "state": {
                        "type": "str",
                        "choices": ["file", "directory", "link", "absent"],
                        "default": "file",
                    },
                    "content": {"type": "str"},
                    "secret_content": {"type": "str", "no_log": True},
                    "target": {"type": "str"},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "mode": {"type": "str"},
                    "secret": {"type": "bool", "default": False, "no_log": False},
                    "force": {"type": "bool", "default": True},
                    "validate": {"type": "str"},
                    "wakes": {"type": "list", "elements": "str", "default": []},
                },
            },
        },
        supports_check_mode=True,
        # Ansible would write the contents to the node's journal, and hides secrets of one line only.
        no_log=True,
    )
    name = module.params["name"]
    if module.params["settled"]:
        if not module.check_mode:
            remove(owed_file(name))
        module.exit_json(changed=False, wakes=[], changed_paths=[], runs=False)

    entries = [Entry(wanted) for wanted in module.params["files"]]
    changes = [(entry, aspects) for entry in entries for aspects in [entry.differs()] if aspects]
    wakes = set(owed(name)).union(*(set(entry.wakes) for entry, _aspects in changes))
    if changes and not module.check_mode:
        accounts_exist(module, entries)
        owe(name, wakes)
        for entry, _aspects in changes:
            entry.lay(module)
    started, stopped = module.params["started"], module.params["stopped"]
    if not module.check_mode:
        remember(name, [entry.path for entry in entries], started, stopped)
    unchanged = not (changes or wakes)
    known = states(module, started + stopped) if unchanged else {}
    module.exit_json(
        changed=not unchanged,
        wakes=sorted(wakes),
        changed_paths=[entry.path for entry, _aspects in changes],
        runs=unchanged and units_are(known, started, STARTED) and units_are(known, stopped, STOPPED),
        survey=survey(module) if unchanged and module.params["survey"] else None,
        diff=[entry.diff(aspects) for entry, aspects in changes],
    )


if __name__ == "__main__":
    main()
